"""What a ModelDeployment says of itself, read forgivingly.

The command line may be older or newer than the operator, and status may have been edited: whatever is
missing or has another form reads as absent, and nothing here raises. (The operator's own models refuse
what they do not know, which is right for a writer and wrong for a reader; they also take longer to
import than a whole `seatrial list` should take.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from seatrial.cli import raw
from seatrial.cli.steps import Step, steps_of

PARTS = 1_000_000
"""A route counts in parts of a million."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests, and how many of them were the bad kind."""

    events: int
    total: int


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check and its latest verdict."""

    name: str
    outcome: str
    message: str
    at: datetime | None
    candidate: Tally | None
    """Counts of the whole trial."""
    stable: Tally | None
    value: str
    forecast: str
    """Why the plan will be slow to decide; empty where it will not."""


@dataclass(frozen=True, slots=True)
class OverlayView:
    """Why the trial waits."""

    kind: str
    message: str
    since: datetime | None
    deadline: datetime | None
    then: str


@dataclass(frozen=True, slots=True)
class RevisionView:
    """A revision that has pods."""

    name: str
    role: str
    replicas: int
    ready: int
    model_version: str
    confirmed: float
    """Percent of live traffic the proxies are known to send it."""
    wanted: float
    """Percent of live traffic last asked for."""
    copied: int
    """Percent of live traffic of which it gets a copy."""


@dataclass(frozen=True, slots=True)
class ConditionView:
    """A condition."""

    type: str
    holds: bool
    reason: str
    message: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class SkippedView:
    """Somebody had a revision accepted unjudged."""

    by: str
    reason: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class TrialView:
    """An entry of the history."""

    revision: str
    model_version: str
    training_data: str
    outcome: str
    reason: str
    message: str
    started: datetime | None
    ended: datetime | None
    probation: str
    """How its probation ended: `Pass`, `Undecided`, `CutShort`, `Fail`, or nothing."""
    skipped: SkippedView | None


@dataclass(frozen=True, slots=True)
class ProbationView:
    """The time in which the revision before is kept."""

    previous: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class LiveView:
    """Live predictions beside their training snapshot."""

    name: str
    state: str
    message: str
    at: datetime | None
    """Since when it is so."""
    alert: str
    """Why they have drifted; empty where they have not."""
    alert_since: datetime | None

    @property
    def judged(self) -> bool:
        """Whether they could be compared at the latest look that told anything new."""
        return self.state in {"Undecided", "Within", "Drifted"}


@dataclass(frozen=True, slots=True)
class DrillView:
    """A drill that ended."""

    revision: str
    by: str
    result: str
    message: str
    ended: datetime | None
    minimum_after: timedelta | None
    """From the decision to go back until the copy was confirmed at the minimum."""
    zero_after: timedelta | None
    """Until it was confirmed to get nothing."""


class Reading:
    """One ModelDeployment, as far as a person is told of it."""

    def __init__(self, obj: Mapping[str, Any]) -> None:
        metadata, self._spec = raw.mapping(obj, "metadata"), raw.mapping(obj, "spec")
        self._status = raw.mapping(obj, "status")
        if raw.entries(self._status, "house"):
            from seatrial.cli.effective import spec_of  # noqa: PLC0415 - see the module's docstring

            self._spec = spec_of(obj)
        self._rollout = raw.mapping(self._status, "rollout")
        self.name = raw.text(metadata, "name")
        self.namespace = raw.text(metadata, "namespace")
        self.created = raw.time(metadata, "creationTimestamp")
        self.deleting = "deletionTimestamp" in metadata
        self.generation = raw.integer(metadata, "generation")
        self.observed_generation = raw.integer(self._status, "observedGeneration")

        self.phase = raw.text(self._status, "phase") or "Pending"
        self.message = raw.text(self._status, "message")
        self.url = raw.text(self._status, "url")
        self.stable = raw.text(self._status, "stable")
        self.candidate = raw.text(self._rollout, "revision") or raw.text(self._status, "candidate")
        self.commands = [entry for entry in raw.entries(self._status, "commands") if isinstance(entry, str)]
        self.suspended = self._spec.get("suspend") is True
        self.owner = raw.text(raw.mapping(self._spec, "model"), "owner")

        borrowed = raw.mapping(raw.mapping(self._status, "traffic"), "borrowed")
        self.contested = raw.text(borrowed, "contested")
        rejected = raw.mapping(self._status, "rejected")
        self.rejected = raw.text(rejected, "revision")
        self.rejected_why = raw.text(rejected, "message")
        self.rejected_at = raw.time(rejected, "at")
        paused = raw.mapping(self._status, "paused")
        self.paused_by = raw.text(paused, "by")
        self.paused_reason = raw.text(paused, "reason")
        self.paused_since = raw.time(paused, "since")
        self.paused = bool(paused)
        back = raw.mapping(self._rollout, "back")
        self.going_back = bool(back)
        self.back_reason = raw.text(back, "reason")
        self.back_message = raw.text(back, "message")
        preflight = raw.mapping(self._rollout, "preflight")
        self.preflight = raw.text(preflight, "outcome")
        self.preflight_message = raw.text(preflight, "message")

    @property
    def told(self) -> bool:
        """Whether the operator has ever said anything."""
        return bool(self._status)

    @property
    def behind(self) -> bool:
        """Whether the operator has not looked at the newest spec yet."""
        return self.observed_generation < self.generation

    @property
    def drilling(self) -> bool:
        """Whether what is under way is a drill: a copy of the stable revision that is failed on purpose."""
        return bool(raw.mapping(self._rollout, "drill"))

    @property
    def drilled(self) -> bool:
        """Whether the drill's copy is back at the minimum, where its requests are counted."""
        run, back = raw.mapping(self._rollout, "drill"), raw.mapping(self._rollout, "back")
        return bool(run) and "minimumAt" in back and "releasedAt" not in run

    @property
    def drill_asked(self) -> bool:
        """Whether a drill waits for its turn."""
        return bool(raw.mapping(raw.mapping(self._status, "drill"), "asked"))

    @property
    def next_drill(self) -> datetime | None:
        """When the schedule calls for a drill."""
        return raw.time(raw.mapping(self._status, "drill"), "next")

    @property
    def drill(self) -> DrillView | None:
        """How the last drill ended."""
        entry = raw.mapping(raw.mapping(self._status, "drill"), "last")
        if not entry:
            return None
        return DrillView(
            raw.text(entry, "revision"),
            raw.text(entry, "by"),
            raw.text(entry, "result"),
            raw.text(entry, "message"),
            raw.time(entry, "ended"),
            raw.duration(entry, "minimumAfter"),
            raw.duration(entry, "zeroAfter"),
        )

    @property
    def on_trial(self) -> bool:
        """Whether a trial is under way, going back included."""
        return bool(self._rollout)

    @property
    def promoting(self) -> bool:
        """Whether all traffic moves to the candidate."""
        return self._rollout.get("promoting") is True

    @property
    def promote_asked(self) -> bool:
        """Whether somebody asked to skip the remaining exposure."""
        return self._rollout.get("promote") is True

    @property
    def accepted(self) -> dict[str, str]:
        """By check, a sentence about a difference that somebody said is intended."""
        watch = raw.mapping(raw.mapping(self._status, "probation"), "watch")
        return {
            raw.text(
                one, "check"
            ): f"check {raw.text(one, 'check')} is judged no more for revision {raw.text(watched, 'revision')} "
            f"({raw.text(one, 'by')}: {raw.text(one, 'reason')})"
            for watched in (self._rollout, watch)
            for one in raw.mappings(watched, "accepted")
        }

    @property
    def checks_skipped(self) -> bool:
        """Whether somebody had the candidate accepted unjudged."""
        return _skipped(self._rollout) is not None

    @property
    def skipped(self) -> SkippedView | None:
        """Who had the candidate, or at rest what serves, accepted unjudged."""
        if self.on_trial:
            return _skipped(self._rollout)
        accepted = (t for t in self.history if t.outcome == "Promoted" and t.revision == self.stable)
        latest = next(accepted, None)
        return latest.skipped if latest is not None else None

    @property
    def exposed(self) -> bool:
        """Whether the candidate has ever been given weight."""
        return self._rollout.get("exposed") is True

    @property
    def started(self) -> datetime | None:
        """When the trial began."""
        return raw.time(self._rollout, "started")

    @property
    def approved(self) -> list[str]:
        """Gates that were passed."""
        return [gate for gate in raw.entries(self._rollout, "approved") if isinstance(gate, str)]

    @property
    def steps(self) -> list[Step]:
        """The steps of the trial, all stages together."""
        return steps_of(raw.mapping(self._spec, "strategy"))

    @property
    def step(self) -> int:
        """Index of the present step, from 0, within the steps."""
        return max(0, min(raw.integer(self._rollout, "step"), len(self.steps) - 1))

    @property
    def step_confirmed(self) -> datetime | None:
        """When the present step's weight was confirmed."""
        return raw.time(self._rollout, "confirmedAt")

    @property
    def clock_stands(self) -> bool:
        """Whether the step's clock stands still."""
        return raw.time(self._rollout, "stoppedSince") is not None

    def elapsed(self, now: datetime) -> timedelta:
        """How long the present weight has counted: since it was confirmed, without the time the clock stood."""
        confirmed = self.step_confirmed
        if confirmed is None:
            return timedelta(0)
        until = raw.time(self._rollout, "stoppedSince") or now
        return max(timedelta(0), until - confirmed - (raw.duration(self._rollout, "stoppedFor") or timedelta(0)))

    def left(self, now: datetime) -> timedelta:
        """The least time that the present step still takes."""
        return max(timedelta(0), self.steps[self.step].minimum - self.elapsed(now))

    def deadline_left(self, now: datetime) -> timedelta | None:
        """Time until the progress deadline, while the candidate lacks ready pods by its own fault."""
        since = raw.time(self._rollout, "unreadySince")
        if since is None or raw.time(self._rollout, "excusedSince") is not None:
            return None
        excused = raw.duration(self._rollout, "unreadyExcused") or timedelta(0)
        deadline = raw.duration(self._spec, "progressDeadline") or timedelta(minutes=10)
        return max(timedelta(0), deadline - (now - since - excused))

    def longest_left(self, now: datetime) -> timedelta | None:
        """The time after which `on_undecided` follows; None where the spec knows no longest time."""
        maximum = self.steps[self.step].maximum
        return None if maximum is None else max(timedelta(0), maximum - self.elapsed(now))

    @property
    def on_undecided(self) -> str:
        """What follows then: `Pause` or `Rollback`."""
        return raw.text(raw.mapping(self._spec, "strategy"), "onUndecided")

    @property
    def copied(self) -> int:
        """Percent of live requests of which the candidate gets a copy."""
        mirror = raw.mapping(raw.mapping(self._status, "traffic"), "mirror")
        return raw.integer(mirror, "percent") if raw.text(mirror, "revision") == self.candidate else 0

    @property
    def previewed(self) -> bool:
        """Whether the preview leads to the candidate."""
        return bool(self.candidate) and raw.text(raw.mapping(self._status, "traffic"), "preview") == self.candidate

    @property
    def preview_header(self) -> str:
        """The header that leads to the preview, where one is named."""
        return raw.text(raw.mapping(raw.mapping(self._spec, "traffic"), "preview"), "header")

    @property
    def probation(self) -> ProbationView | None:
        """The time after a promotion, while it lasts: until its end or the next trial."""
        entry = raw.mapping(self._status, "probation")
        if not entry or self.on_trial:
            return None
        return ProbationView(raw.text(entry, "previous"), raw.time(entry, "until"))

    @property
    def kept(self) -> str:
        """What going back would take, where more than a moment or on probation: a sentence, or empty."""
        return raw.text(self._status, "kept").rstrip(".")

    @property
    def sliding(self) -> list[str]:
        """Checks that got worse over several releases: a sentence for each."""
        quality = raw.mapping(self._status, "quality")
        return [text for entry in raw.mappings(quality, "sliding") if (text := raw.text(entry, "message"))]

    @property
    def live(self) -> list[LiveView]:
        """Live predictions beside their training snapshots."""
        return [
            LiveView(
                raw.text(entry, "name"),
                raw.text(entry, "state"),
                raw.text(entry, "message"),
                raw.time(entry, "at"),
                raw.text(raw.mapping(entry, "alert"), "message"),
                raw.time(raw.mapping(entry, "alert"), "since"),
            )
            for entry in raw.mappings(self._status, "live")
        ]

    @property
    def kept_waiting(self) -> bool:
        """Whether the probation is of another revision than the wanted one, or it does not serve in full size."""
        ready = self.conditions.get("Ready")
        return self.probation is not None and ready is not None and not ready.holds

    @property
    def probation_length(self) -> timedelta:
        """How long a probation lasts; zero for none."""
        return raw.duration(self._asked_of_probation, "duration") or timedelta(0)

    @property
    def holdback(self) -> int:
        """Percent of live requests that stay with the revision before, while it is on trial or kept."""
        return raw.integer(self._asked_of_probation, "holdback") if self.stable and self.probation_length else 0

    @property
    def _asked_of_probation(self) -> Mapping[str, Any]:
        return raw.mapping(raw.mapping(self._spec, "strategy"), "probation")

    @property
    def failed_probation(self) -> bool:
        """Whether the revision that goes back, or went back, had been accepted and was on probation."""
        promotion = self.history[0 if self.on_trial else 1 :][:1]
        return any(
            trial.probation == "Fail" and trial.revision == (self.candidate or self.rejected) for trial in promotion
        )

    @property
    def overlay(self) -> OverlayView | None:
        """Why the trial waits, if it does."""
        entry = raw.mapping(self._rollout, "overlay")
        if not entry:
            return None
        return OverlayView(
            raw.text(entry, "kind"),
            raw.text(entry, "message"),
            raw.time(entry, "since"),
            raw.time(entry, "deadline"),
            raw.text(entry, "then"),
        )

    @property
    def asked_checks(self) -> list[Mapping[str, Any]]:
        """The checks as the spec has them."""
        return list(raw.mappings(raw.mapping(self._spec, "analysis"), "checks"))

    @property
    def check_entries(self) -> list[Mapping[str, Any]]:
        """The checks as status has them."""
        return list(raw.mappings(self._status, "checks"))

    @property
    def checks(self) -> list[CheckView]:
        """The checks and their latest verdicts."""
        return [
            CheckView(
                raw.text(entry, "name"),
                raw.text(entry, "outcome") or "Inconclusive",
                raw.text(entry, "message"),
                raw.time(entry, "at"),
                _tally(entry, "candidate"),
                _tally(entry, "stable"),
                raw.text(entry, "value"),
                raw.text(entry, "forecast"),
            )
            for entry in self.check_entries
        ]

    @property
    def revisions(self) -> list[RevisionView]:
        """Revisions with pods: the candidate, stable, the one before, then those that are leaving."""
        order = {"candidate": 0, "stable": 1, "previous": 2}
        found = [
            RevisionView(
                name,
                raw.text(entry, "role"),
                raw.integer(entry, "replicas"),
                raw.integer(entry, "ready"),
                raw.text(entry, "modelVersion"),
                self.weight(name, confirmed=True),
                self.weight(name, confirmed=False),
                self.copied if name == self.candidate else 0,
            )
            for entry in raw.mappings(self._status, "revisions")
            if (name := raw.text(entry, "name"))
        ]
        return sorted(found, key=lambda revision: order.get(revision.role, len(order)))

    @property
    def leaving(self) -> str:
        """A revision without a role that still gets live traffic; nothing where there is none."""
        found = (rev.name for rev in self.revisions if rev.role == "leaving" and rev.confirmed + rev.wanted)
        return next(found, "")

    @property
    def carrier(self) -> Literal["gateway", "endpoints"]:
        """Who carries the weights out."""
        router = raw.mapping(self._status, "traffic").get("router")
        return "endpoints" if router == "ReplicaRatio" else "gateway"

    def weight(self, revision: str, *, confirmed: bool) -> float:
        """Percent of live traffic of a revision, as confirmed or as last asked for."""
        traffic = raw.mapping(self._status, "traffic")
        slots, split = raw.mapping(traffic, "slots"), raw.mapping(traffic, "confirmed" if confirmed else "wanted")
        return (
            sum(raw.integer(split, slot) for slot in ("a", "b") if revision and slots.get(slot) == revision)
            * 100
            / PARTS
        )

    @property
    def conditions(self) -> dict[str, ConditionView]:
        """The conditions by type."""
        return {
            raw.text(entry, "type"): ConditionView(
                raw.text(entry, "type"),
                raw.text(entry, "status") == "True",
                raw.text(entry, "reason"),
                raw.text(entry, "message"),
                raw.time(entry, "lastTransitionTime"),
            )
            for entry in raw.mappings(self._status, "conditions")
        }

    @property
    def stalled(self) -> ConditionView | None:
        """Why a person is needed, if one is."""
        condition = self.conditions.get("Stalled")
        return condition if condition is not None and condition.holds else None

    @property
    def history(self) -> list[TrialView]:
        """Trials that ended, the latest first."""
        return [
            TrialView(
                raw.text(entry, "revision"),
                raw.text(entry, "modelVersion"),
                raw.text(entry, "trainingData"),
                raw.text(entry, "outcome"),
                raw.text(entry, "reason"),
                raw.text(entry, "message"),
                raw.time(entry, "started"),
                raw.time(entry, "ended"),
                raw.text(entry, "probation"),
                _skipped(entry),
            )
            for entry in raw.mappings(self._status, "history")
        ]


def _skipped(entry: Mapping[str, Any]) -> SkippedView | None:
    have = raw.mapping(entry, "skippedChecks")
    if not have:
        return None
    return SkippedView(raw.text(have, "by") or "somebody", raw.text(have, "reason"), raw.time(have, "at"))


def _tally(check: Mapping[str, Any], arm: str) -> Tally | None:
    trial = raw.mapping(check, "trial")
    if arm not in trial:
        return None
    counts = raw.mapping(trial, arm)
    return Tally(raw.integer(counts, "events"), raw.integer(counts, "total"))
