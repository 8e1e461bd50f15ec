"""Write what a plan says, in its order, and nothing that is already so.

An object is left alone, without a request, when it was last written with the same intent and is still
what the API server made of it. Otherwise it is created by POST or replaced by PUT under its uid and
resourceVersion: whatever bears the name and is not ours is never touched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.api.status import Written
from seatrial.build.fingerprint import fingerprint
from seatrial.build.names import is_backend, owner_reference
from seatrial.build.overlay import owned, replacement
from seatrial.build.rule import Splice, find, patch, stands
from seatrial.cluster.client import Client
from seatrial.cluster.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    NotFound,
    QuotaExceeded,
    Refused,
)
from seatrial.cluster.kinds import BY_KIND, DEPLOYMENT, HTTP_ROUTE
from seatrial.cluster.ledger import Ledger, Page
from seatrial.cluster.observe import View
from seatrial.cluster.parse import is_ours
from seatrial.core.borrowed import ref_of
from seatrial.core.outcome import ApplyFailure, ApplyOutcome, FailureKind
from seatrial.core.state import Manifest, Plan, Ref

logger = logging.getLogger(__name__)

MAX_WRITTEN = 32
"""Entries of `status.written` that the schema has room for."""


@dataclass(slots=True)
class _Round:
    """One pass's writes."""

    view: View
    page: Page
    objects: dict[Ref, Manifest]
    """What exists, kept up to date as it is written."""
    written: dict[str, Written]
    repaired: list[Ref] = field(default_factory=list)
    failures: list[ApplyFailure] = field(default_factory=list)
    changed: bool = False

    def failed(self, ref: Ref) -> bool:
        return any(failure.ref == ref for failure in self.failures)


class Applier:
    """Writes objects of resources. `ledger` is shared with whoever observes."""

    def __init__(self, client: Client, ledger: Ledger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._ledger = ledger
        self._clock = clock

    async def apply(self, view: View, plan: Plan) -> ApplyOutcome:
        """Write the plan's objects, then prune. Raises `Conflict` when the view turns out to be old."""
        page = self._ledger.page(view.key, view.observed.uid)
        state = _Round(view, page, dict(view.objects), dict(view.written))
        for manifest in plan.apply:
            ref = Ref(manifest["kind"], manifest["metadata"]["name"])
            try:
                await self._one(state, ref, manifest)
            except ApiError as error:
                if isinstance(error, Conflict) and not isinstance(error, AlreadyExists):
                    raise
                failure = ApplyFailure(ref, _kind(error), error.said)
                logger.warning("could not write %s: %s", ref, error, extra=_about(view))
                state.failures.append(failure)
        if plan.splice is not None:
            try:
                await self._splice(state, plan.splice)
            except ApiError as error:
                if isinstance(error, Conflict):
                    raise
                rule = ref_of(view.observed.name)
                logger.warning("could not write %s: %s", rule, error, extra=_about(view))
                state.failures.append(ApplyFailure(rule, _kind(error), error.said))
        if not state.failures:
            for ref in plan.prune:
                await self._prune(state, ref)
        written = _remembered(state, plan)
        page.written = {entry.ref: entry for entry in written}
        page.complete = True
        return ApplyOutcome(written, tuple(state.repaired), tuple(state.failures), state.changed)

    def settled(self, view: View, plan: Plan) -> ApplyOutcome | None:
        """The outcome where everything is as the plan wants it already; None where something is to be written."""
        if view.drifted or any(ref in view.objects for ref in plan.prune):
            return None
        if plan.hold not in (None, view.observed.held) or not _spliced(view, plan.splice):
            return None
        owner = owner_reference(view.observed.name, view.observed.uid)
        for manifest in plan.apply:
            ref = Ref(manifest["kind"], manifest["metadata"]["name"])
            live, entry = view.objects.get(ref), view.written.get(str(ref))
            if live is None or entry is None or entry.live != fingerprint(live):
                return None
            if entry.intent != fingerprint(_as_stored(owned(manifest, owner), ref, live)):
                return None
            if ref.kind == "Deployment" and manifest["spec"].get("replicas") not in (None, _replicas(live)):
                return None
        state = _Round(view, self._ledger.page(view.key, view.observed.uid), dict(view.objects), dict(view.written))
        return ApplyOutcome(_remembered(state, plan))

    async def _one(self, state: _Round, ref: Ref, manifest: Manifest) -> None:
        view, live = state.view, state.objects.get(ref)
        wanted = owned(manifest, owner_reference(view.observed.name, view.observed.uid))
        if ref in view.observed.foreign:
            raise AlreadyExists(f"{ref} exists and does not belong to this ModelDeployment")
        if reason := _must_wait(state, ref, wanted):
            state.failures.append(ApplyFailure(ref, "error", reason))
            return
        if live is None:
            await self._create(state, ref, wanted)
            return
        wanted = _as_stored(wanted, ref, live)
        intent, stands = fingerprint(wanted), fingerprint(live)
        entry = state.written.get(str(ref))
        if entry is not None and entry.intent == intent and (entry.live == stands or ref in view.drifted):
            state.written[str(ref)] = Written(ref=str(ref), intent=intent, live=stands)
        elif entry is not None and entry.intent == intent and state.page.contested(str(ref), self._clock()):
            logger.debug("%s is contested and left alone for now", ref, extra=_about(view))
        else:
            await self._replace(state, ref, live, wanted, intent, edited=entry is not None and entry.live != stands)
            return
        await self._scale(state, ref, live, wanted)

    async def _create(self, state: _Round, ref: Ref, wanted: Manifest) -> None:
        try:
            answer = await self._client.create(wanted)
        except AlreadyExists:
            found = await self._client.find(BY_KIND[ref.kind], state.view.observed.namespace, ref.name)
            if found is None or is_ours(found, state.view.observed.uid):
                raise Conflict(f"{ref} appeared since we looked") from None
            raise
        logger.info("created %s", ref, extra=_about(state.view))
        self._note(state, ref, answer, fingerprint(wanted), repair=str(ref) in state.written)

    async def _replace(
        self, state: _Round, ref: Ref, live: Manifest, wanted: Manifest, intent: str, *, edited: bool
    ) -> None:
        body = replacement(live, wanted)
        try:
            answer = await self._client.replace(body)
        except Conflict:
            # Controllers write status all the time. If that is all that moved, our view still holds.
            now = await self._client.get(BY_KIND[ref.kind], state.view.observed.namespace, ref.name)
            if now["metadata"]["uid"] != live["metadata"]["uid"] or fingerprint(now) != fingerprint(live):
                raise
            live = now
            answer = await self._client.replace(replacement(now, wanted))
        moved = answer["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]
        if moved:
            logger.info("%s %s", "put back" if edited else "replaced", ref, extra=_about(state.view))
        self._note(state, ref, answer, intent, repair=edited and moved, moved=moved)

    async def _scale(self, state: _Round, ref: Ref, live: Manifest, wanted: Manifest) -> None:
        if ref.kind != "Deployment":
            return
        before, after = _replicas(live), wanted["spec"]["replicas"]
        if before == after:
            return
        # Without a resourceVersion: a number of pods is right or wrong by itself, and a Deployment's
        # status is written too often for a precondition. The uid still says which Deployment.
        uid, namespace = live["metadata"]["uid"], state.view.observed.namespace
        try:
            answer = await self._client.patch(
                DEPLOYMENT, namespace, ref.name, {"metadata": {"uid": uid}, "spec": {"replicas": after}}
            )
        except Refused as error:
            # Another uid is answered as an invalid field, not as a conflict.
            now = await self._client.find(DEPLOYMENT, namespace, ref.name)
            if now is None or now["metadata"]["uid"] != uid:
                raise Conflict(f"{ref} was replaced since we looked") from error
            raise
        logger.info("scaled %s from %s to %s", ref, before, after, extra=_about(state.view))
        state.objects[ref] = answer
        state.changed = True

    def _note(
        self, state: _Round, ref: Ref, answer: Manifest, intent: str, *, repair: bool, moved: bool = True
    ) -> None:
        answer.setdefault("kind", ref.kind)
        state.objects[ref] = answer
        live, before = fingerprint(answer), state.written.get(str(ref))
        state.written[str(ref)] = Written(ref=str(ref), intent=intent, live=live)
        state.page.note(str(ref), intent, live, self._clock(), repair=repair, before=before)
        state.changed = state.changed or moved
        if repair:
            state.repaired.append(ref)

    async def _splice(self, state: _Round, splice: Splice) -> None:
        """Write one rule of a route that is not ours, over the version that was looked at, and nothing beside it."""
        view, ref = state.view, ref_of(state.view.observed.name)
        team, model = view.team, view.observed.name
        if team is None or _spliced(view, splice):
            return
        if reason := next((name for name in splice.services if _is_missing(state, name)), ""):
            state.failures.append(
                ApplyFailure(ref, "error", f"Service/{reason} does not exist: {ref} does not name it")
            )
            return
        repair = ref in view.observed.edited
        operations = patch(model, team, splice)
        try:
            answer = await self._patched(view, splice, operations) if operations else team
        except Refused:
            # A test that fails is answered as an invalid request. Gateways write the route's status all the time.
            now = await self._client.find(HTTP_ROUTE, view.observed.namespace, splice.route)
            if now is None or now["metadata"]["uid"] != team["metadata"]["uid"]:
                raise Conflict(f"HTTPRoute {splice.route} was replaced since we looked") from None
            if now["metadata"]["resourceVersion"] == team["metadata"]["resourceVersion"]:
                raise
            if now["metadata"].get("generation") != team["metadata"].get("generation"):
                raise Conflict(f"HTTPRoute {splice.route} was changed since we looked") from None
            answer = await self._patched(view, splice, patch(model, now, splice))
        index = find(answer, splice.rule)
        if index is None:
            raise Conflict(f"HTTPRoute {splice.route} was changed as we wrote it")
        live, before = stands(model, answer["spec"]["rules"][index]), state.written.get(str(ref))
        state.written[str(ref)] = Written(ref=str(ref), intent=splice.intent, live=live)
        repair = repair and bool(operations)
        state.page.note(str(ref), splice.intent, live, self._clock(), repair=repair, before=before)
        state.changed = state.changed or bool(operations)
        if repair:
            state.repaired.append(ref)
        logger.info("%s %s", "put back" if repair else "wrote", ref, extra=_about(view))

    async def _patched(self, view: View, splice: Splice, operations: list[Manifest]) -> Manifest:
        return await self._client.patch_json(HTTP_ROUTE, view.observed.namespace, splice.route, operations)

    async def _prune(self, state: _Round, ref: Ref) -> None:
        live = state.objects.get(ref)
        if live is not None and "deletionTimestamp" not in live["metadata"]:
            try:
                await self._client.delete(
                    BY_KIND[ref.kind], state.view.observed.namespace, ref.name, uid=live["metadata"]["uid"]
                )
                logger.info("deleted %s", ref, extra=_about(state.view))
                state.changed = True
            except NotFound:
                pass
            except Conflict:
                # Another object bears the name now; it is not ours to delete.
                logger.info("%s was replaced by somebody else and is left alone", ref, extra=_about(state.view))
            except ApiError as error:
                state.failures.append(ApplyFailure(ref, _kind(error), f"could not be deleted: {error.said}"))
                return
        state.objects.pop(ref, None)
        state.written.pop(str(ref), None)
        state.page.forget(str(ref))


def _spliced(view: View, splice: Splice | None) -> bool:
    """Whether a rule is as our last write of the same intent left it."""
    if splice is None or view.team is None:
        return True
    index, entry = find(view.team, splice.rule), view.written.get(str(ref_of(view.observed.name)))
    if index is None:
        return True
    live = stands(view.observed.name, view.team["spec"]["rules"][index])
    return entry is not None and (entry.intent, entry.live) == (splice.intent, live)


def _is_missing(state: _Round, service: str) -> bool:
    """Whether a Service of ours is not there yet; those of others are theirs to have."""
    return is_backend(state.view.observed.name, service) and Ref("Service", service) not in state.objects


def _as_stored(wanted: Manifest, ref: Ref, live: Manifest) -> Manifest:
    """What is wanted, with what only the stored object can say."""
    if ref.kind == "ControllerRevision":
        # The record of a revision's birth: its data is immutable, and never rendered anew.
        return {**wanted, "data": live.get("data")}
    if ref.kind == "Deployment" and "replicas" not in wanted["spec"]:
        # A PUT without it would mean 1.
        return {**wanted, "spec": {**wanted["spec"], "replicas": _replicas(live)}}
    return wanted


def _replicas(deployment: Manifest) -> int:
    return int((deployment.get("spec") or {}).get("replicas", 1))


def _must_wait(state: _Round, ref: Ref, wanted: Manifest) -> str:
    """Why an object must not be written yet: a sentence, or empty."""
    if ref.kind == "Deployment" and state.failed(Ref("ControllerRevision", ref.name)):
        return f"the record of this revision is not stored, so {ref} is not created"
    if ref.kind == "HTTPRoute":
        for name in _backends(wanted):
            if Ref("Service", name) not in state.objects:
                return f"Service/{name} does not exist, so the route does not name it"
    return ""


def _backends(route: Mapping[str, Any]) -> list[str]:
    rules = (route.get("spec") or {}).get("rules") or []
    return [str(ref["name"]) for rule in rules for ref in rule.get("backendRefs") or ()]


def _kind(error: ApiError) -> FailureKind:
    if isinstance(error, QuotaExceeded):
        return "quota"
    if isinstance(error, AlreadyExists):
        return "conflict"
    # A kind or a namespace that is not there may come; anything else that is refused stays refused.
    return "refused" if not error.again and not isinstance(error, NotFound) else "error"


def _remembered(state: _Round, plan: Plan) -> tuple[Written, ...]:
    """The entries of what exists, those of the plan first where there is not room for all."""
    planned = {f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in plan.apply}
    exist = {str(ref) for ref in state.objects}
    if plan.status.traffic.borrowed is not None:
        exist.add(str(ref_of(state.view.observed.name)))
    entries = [entry for ref, entry in state.written.items() if ref in exist]
    entries.sort(key=lambda entry: (entry.ref not in planned, entry.ref))
    return tuple(sorted(entries[:MAX_WRITTEN], key=lambda entry: entry.ref))


def _about(view: View) -> dict[str, str]:
    return {"namespace": view.observed.namespace, "model": view.observed.name}
