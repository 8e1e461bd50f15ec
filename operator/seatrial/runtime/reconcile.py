"""One pass over one resource: look, ask, decide, write, remember, tell.

    observe -> ask -> answer -> plan -> apply -> after_apply -> status -> events

Nothing is decided here. Whatever goes wrong concerns one resource only, and brings it back later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from seatrial.build.revision import digest
from seatrial.cluster.apply import Applier
from seatrial.cluster.client import Client
from seatrial.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    NotAllowed,
    NotFound,
    QuotaExceeded,
    Refused,
)
from seatrial.cluster.events import Poster
from seatrial.cluster.hold import hold
from seatrial.cluster.index import Index, Key
from seatrial.cluster.kinds import CONFIG_MAP
from seatrial.cluster.ledger import Ledger
from seatrial.cluster.observe import Gateway, Observer, View
from seatrial.cluster.parse import Parent
from seatrial.cluster.status import stands, store
from seatrial.core.plan import after_apply, ask, plan
from seatrial.core.questions import (
    Answers,
    DryRunAnswer,
    DryRunQuestion,
    Failure,
    MetricAnswer,
    MetricQuestion,
    Questions,
    SnapshotAnswer,
)
from seatrial.core.state import Installation, Manifest
from seatrial.runtime.preflight import Preflight
from seatrial.runtime.queue import AgainError
from seatrial.runtime.telemetry import Telemetry

logger = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that one pass may take."""
BUSY_PASSES = 20
"""Passes in a row that wrote something after which a resource is slowed down: something fights us."""


class MetricSource(Protocol):
    """Where metric questions are answered."""

    async def answer(self, questions: Sequence[MetricQuestion]) -> tuple[dict[str, MetricAnswer], float | None]:
        """Answers by key, and the seconds between scrapes where they can be seen."""


class NoSource:
    """The installation has no Prometheus."""

    async def answer(self, questions: Sequence[MetricQuestion]) -> tuple[dict[str, MetricAnswer], float | None]:
        """Says so, for every question."""
        missing = Failure("no Prometheus is set: start the operator with --prometheus-url")
        return {question.key: missing for question in questions}, None

    def close(self) -> None:
        """Nothing to let go of."""


def now_utc() -> datetime:
    """The clock; whole milliseconds, as status stores them."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Reconciler:
    """Passes over resources; one instance for a process."""

    def __init__(
        self,
        client: Client,
        installation: Installation,
        source: MetricSource,
        *,
        index: Index,
        telemetry: Telemetry,
        wake: Callable[[Key], None],
        instance: str,
        clock: Callable[[], datetime] = now_utc,
    ) -> None:
        self._client = client
        self._installation = installation
        self._source = source
        self._index = index
        self._telemetry = telemetry
        self._wake = wake
        self._clock = clock
        self._ledger = Ledger()
        self._observer = Observer(client, installation, index, self._ledger)
        self._applier = Applier(client, self._ledger)
        self._poster = Poster(client, instance=instance)
        self.preflight = Preflight(client, wake)
        self._wrote: defaultdict[Key, int] = defaultdict(int)
        self._said: dict[Key, tuple[int, ...]] = {}
        self._began = clock()
        self._looked: dict[Key, datetime] = {}
        """When live predictions were last held against their training snapshots."""
        self.expected: dict[Key, str] = {}
        """Hash of the status that was stored last, to know our own write when the watch brings it back."""

    async def __call__(self, key: Key) -> float | None:
        """One pass; the seconds until the next one, or None when only a change calls for one."""
        begun = time.monotonic()
        result = "error"
        try:
            async with asyncio.timeout(PATIENCE):
                result, after = await self._pass(key)
                if result == "incomplete":
                    raise AgainError("something could not be written", after=after)
                return after
        except Conflict as error:
            result = "conflict"
            raise AgainError(str(error)) from error
        except ApiError as error:
            result = "unavailable"
            raise AgainError(str(error), after=error.retry_after) from error
        except TimeoutError:
            result = "timeout"
            raise AgainError(f"the pass took longer than {PATIENCE:g} s") from None
        finally:
            self._telemetry.passed(result, time.monotonic() - begun)

    async def _pass(self, key: Key) -> tuple[str, float | None]:
        view = await self._observer.look(key)
        if view is None:
            self.forget(key)
            return "gone", None
        view = self._remembering(view)
        self._index.put(view.resource)
        observed = view.observed
        if observed.deleting and not observed.held:
            # Everything of ours has its owner reference and follows it.
            self.preflight.forget(key)
            return "deleting", None
        now = self._clock()
        questions = ask(observed, now, self._installation)
        answers = await self._answer(view, questions)
        decided = plan(observed, answers, now, self._installation)
        for note in decided.notes:
            # A sentence is news once; a pass that comes to the same one again says it only to who asks.
            news = hash(note) not in self._said.get(key, ())
            logger.log(logging.INFO if news else logging.DEBUG, "%s", note, extra=_about(key))
        self._said[key] = tuple(hash(note) for note in decided.notes)
        outcome = await self._applier.apply(view, decided)
        status = after_apply(decided, outcome, now)
        self.expected[key] = digest(status.wire(), 16)
        stored = await store(self._client, view.resource, status)
        held = await hold(self._client, view.resource, wanted=decided.hold)
        self._ledger.stored(key)
        self._telemetry.stored(key, observed.status, status)
        if decided.distances is not None:
            self._looked[key] = now
            self._telemetry.measured(key, decided.distances)
        if decided.events:
            self._telemetry.decided(event.reason for event in decided.events)
            await self._poster.post(view.resource, decided.events, now)
        if any(failure.kind != "refused" for failure in outcome.failures):
            return "incomplete", None
        wake_in = decided.wake_in.total_seconds() if decided.wake_in is not None else None
        changed = outcome.changed or held
        return ("wrote" if changed or stored else "rest"), self._next(key, changed, wake_in)

    async def at_rest(self, resources: Sequence[Manifest]) -> dict[Key, float | None]:
        """Of resources of one namespace that were just listed, those at which nothing is to be done.

        With them, when they want to be looked at next. This is for the start, where a thousand resources at
        rest would cost a thousand live looks: a few LISTs serve many. Nothing is written on the strength of
        it; whatever is not plainly at rest is left to an ordinary pass.
        """
        found: dict[Key, float | None] = {}
        gateways: dict[Parent, Gateway] = {}
        for raw in await self._observer.read_many(resources):
            view = self._remembering(await self._observer.view(raw, gateways))
            now = self._clock()
            if view.observed.deleting or ask(view.observed, now, self._installation) != Questions():
                continue
            decided = plan(view.observed, Answers(), now, self._installation)
            outcome = self._applier.settled(view, decided)
            if outcome is None or decided.events:
                continue
            status = after_apply(decided, outcome, now)
            if not stands(view.resource, status):
                continue
            self._telemetry.passed("rest", 0.0)
            self._telemetry.stored(view.key, view.observed.status, status)
            found[view.key] = decided.wake_in.total_seconds() if decided.wake_in is not None else None
        return found

    def _next(self, key: Key, changed: bool, wake_in: float | None) -> float | None:
        """After a write that changes the picture, look again; slower where that never ends."""
        if not changed:
            self._wrote.pop(key, None)
            return None if wake_in is None else max(0.0, wake_in)
        self._wrote[key] += 1
        over = self._wrote[key] - BUSY_PASSES
        soon = 0.0 if over <= 0 else min(60.0, 2.0 ** min(over, 6))
        return soon if wake_in is None else max(0.0, min(soon, wake_in))

    def forget(self, key: Key) -> None:
        """The resource is gone."""
        for other in self._index.drop(key):
            self._wake(other)
        self._ledger.drop(key)
        self._wrote.pop(key, None)
        self._said.pop(key, None)
        self._looked.pop(key, None)
        self.expected.pop(key, None)
        self.preflight.forget(key)
        self._telemetry.forget(key)

    def _remembering(self, view: View) -> View:
        """The view with what only this process knows."""
        looked = self._looked.get(view.key, self._began)
        return replace(view, observed=replace(view.observed, live_looked=looked))

    async def _answer(self, view: View, questions: Questions) -> Answers:
        preflight = self.preflight.answer(view.key, view.observed.uid, questions.preflight)
        dry_run = await self._dry_run(questions.dry_run) if questions.dry_run is not None else None
        metrics: dict[str, MetricAnswer] = {}
        interval = None
        if questions.metrics:
            try:
                metrics, interval = await self._source.answer(questions.metrics)
            except Exception as error:  # whatever the source does, it holds and never breaks a pass
                logger.exception("the metric source failed", extra=_about(view.key))
                metrics = {q.key: Failure(f"the metric source failed: {error!r}") for q in questions.metrics}
        snapshots = {name: await self._snapshot(view.key[0], name) for name in questions.snapshots}
        return Answers(
            metrics=metrics, dry_run=dry_run, preflight=preflight, scrape_interval=interval, snapshots=snapshots
        )

    async def _snapshot(self, namespace: str, name: str) -> SnapshotAnswer:
        """A ConfigMap; whatever is wrong with it concerns one alert and never breaks a pass."""
        try:
            found = await self._client.get(CONFIG_MAP, namespace, name)
        except NotFound:
            return SnapshotAnswer(missing=True)
        except ApiError as error:
            return SnapshotAnswer(failed=error.said)
        return SnapshotAnswer(found.get("data") or {})

    async def _dry_run(self, question: DryRunQuestion) -> DryRunAnswer:
        try:
            await self._client.create(dict(question.manifest), dry_run=True, strict=True)
        except (AlreadyExists, QuotaExceeded):
            # Neither is the template's fault; the write itself will say so, and will be tried again.
            return DryRunAnswer()
        except (NotFound, NotAllowed) as error:
            return DryRunAnswer(failed=error.said)
        except Refused as error:
            return DryRunAnswer(refused=error.said)
        return DryRunAnswer()


def _about(key: Key) -> dict[str, str]:
    return {"namespace": key[0], "model": key[1]}
