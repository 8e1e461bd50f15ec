"""What a ModelDeployment says of itself, read forgivingly.

The command line may be older or newer than the operator, and status may have been edited: whatever is
missing or has another form reads as absent, and nothing here raises. (The operator's own models refuse
what they do not know, which is right for a writer and wrong for a reader; they also take longer to
import than a whole `seatrial list` should take.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

PARTS = 1_000_000
"""A route counts in parts of a million."""

_DURATION = re.compile(r"([0-9]+)(h|ms|m|s)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DEFAULT_WEIGHTS = (5, 25, 50)
_DEFAULT_MINIMUM = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the canary."""

    weight: int
    minimum: timedelta
    approval: str = ""
    """`ToEnter`, `ToLeave` or nothing."""


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


@dataclass(frozen=True, slots=True)
class ConditionView:
    """A condition."""

    type: str
    holds: bool
    reason: str
    message: str
    since: datetime | None


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


class Reading:
    """One ModelDeployment, as far as a person is told of it."""

    def __init__(self, obj: Mapping[str, Any]) -> None:
        metadata, self._spec = _map(obj, "metadata"), _map(obj, "spec")
        self._status = _map(obj, "status")
        self._rollout = _map(self._status, "rollout")
        self.name = _text(metadata, "name")
        self.namespace = _text(metadata, "namespace")
        self.created = _time(metadata, "creationTimestamp")
        self.deleting = "deletionTimestamp" in metadata
        self.generation = _int(metadata, "generation")
        self.observed_generation = _int(self._status, "observedGeneration")

        self.phase = _text(self._status, "phase") or "Pending"
        self.message = _text(self._status, "message")
        self.url = _text(self._status, "url")
        self.stable = _text(self._status, "stable")
        self.candidate = _text(self._rollout, "revision") or _text(self._status, "candidate")
        self.commands = [entry for entry in _list(self._status, "commands") if isinstance(entry, str)]
        self.suspended = self._spec.get("suspend") is True
        self.owner = _text(_map(self._spec, "model"), "owner")

        rejected = _map(self._status, "rejected")
        self.rejected = _text(rejected, "revision")
        self.rejected_why = _text(rejected, "message")
        self.rejected_at = _time(rejected, "at")
        paused = _map(self._status, "paused")
        self.paused_by = _text(paused, "by")
        self.paused_reason = _text(paused, "reason")
        self.paused_since = _time(paused, "since")
        self.paused = bool(paused)
        back = _map(self._rollout, "back")
        self.going_back = bool(back)
        self.back_reason = _text(back, "reason")
        self.back_message = _text(back, "message")
        preflight = _map(self._rollout, "preflight")
        self.preflight = _text(preflight, "outcome")
        self.preflight_message = _text(preflight, "message")

    @property
    def told(self) -> bool:
        """Whether the operator has ever said anything."""
        return bool(self._status)

    @property
    def behind(self) -> bool:
        """Whether the operator has not looked at the newest spec yet."""
        return self.observed_generation < self.generation

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
    def checks_skipped(self) -> bool:
        """Whether somebody had the candidate accepted unjudged."""
        return bool(_map(self._rollout, "skippedChecks"))

    @property
    def exposed(self) -> bool:
        """Whether the candidate has ever been given weight."""
        return self._rollout.get("exposed") is True

    @property
    def started(self) -> datetime | None:
        """When the trial began."""
        return _time(self._rollout, "started")

    @property
    def approved(self) -> list[str]:
        """Gates that were passed."""
        return [gate for gate in _list(self._rollout, "approved") if isinstance(gate, str)]

    @property
    def steps(self) -> list[Step]:
        """The canary's steps."""
        for stage in _list(self._map_of_strategy(), "stages"):
            found = [
                Step(
                    _int(step, "weight"),
                    _duration(step, "minDuration") or _DEFAULT_MINIMUM,
                    (_text(_map(step, "approval"), "when") or "ToLeave") if "approval" in step else "",
                )
                for step in _list(_map(stage, "canary"), "steps")
                if isinstance(step, Mapping)
            ]
            if found:
                return found
        return [Step(weight, _DEFAULT_MINIMUM) for weight in _DEFAULT_WEIGHTS]

    @property
    def step(self) -> int:
        """Index of the present step, from 0, within the steps."""
        return max(0, min(_int(self._rollout, "step"), len(self.steps) - 1))

    @property
    def step_confirmed(self) -> datetime | None:
        """When the present step's weight was confirmed."""
        return _time(self._rollout, "confirmedAt")

    @property
    def clock_stands(self) -> bool:
        """Whether the step's clock stands still."""
        return _time(self._rollout, "stoppedSince") is not None

    def elapsed(self, now: datetime) -> timedelta:
        """How long the present weight has counted: since it was confirmed, without the time the clock stood."""
        confirmed = self.step_confirmed
        if confirmed is None:
            return timedelta(0)
        until = _time(self._rollout, "stoppedSince") or now
        return max(timedelta(0), until - confirmed - (_duration(self._rollout, "stoppedFor") or timedelta(0)))

    def left(self, now: datetime) -> timedelta:
        """The least time that the present step still takes."""
        return max(timedelta(0), self.steps[self.step].minimum - self.elapsed(now))

    def deadline_left(self, now: datetime) -> timedelta | None:
        """Time until the progress deadline, while the candidate lacks ready pods by its own fault."""
        since = _time(self._rollout, "unreadySince")
        if since is None or _time(self._rollout, "excusedSince") is not None:
            return None
        excused = _duration(self._rollout, "unreadyExcused") or timedelta(0)
        deadline = _duration(self._spec, "progressDeadline") or timedelta(minutes=10)
        return max(timedelta(0), deadline - (now - since - excused))

    @property
    def overlay(self) -> OverlayView | None:
        """Why the trial waits, if it does."""
        raw = _map(self._rollout, "overlay")
        if not raw:
            return None
        return OverlayView(
            _text(raw, "kind"), _text(raw, "message"), _time(raw, "since"), _time(raw, "deadline"), _text(raw, "then")
        )

    @property
    def checks(self) -> list[CheckView]:
        """The checks and their latest verdicts."""
        return [
            CheckView(
                _text(raw, "name"),
                _text(raw, "outcome") or "Inconclusive",
                _text(raw, "message"),
                _time(raw, "at"),
                _tally(raw, "candidate"),
                _tally(raw, "stable"),
                _text(raw, "value"),
            )
            for raw in _maps(self._status, "checks")
        ]

    @property
    def revisions(self) -> list[RevisionView]:
        """Revisions with pods: the candidate, stable, then those that are leaving."""
        order = {"candidate": 0, "stable": 1}
        found = [
            RevisionView(
                name,
                _text(raw, "role"),
                _int(raw, "replicas"),
                _int(raw, "ready"),
                _text(raw, "modelVersion"),
                self.weight(name, confirmed=True),
                self.weight(name, confirmed=False),
            )
            for raw in _maps(self._status, "revisions")
            if (name := _text(raw, "name"))
        ]
        return sorted(found, key=lambda revision: order.get(revision.role, 2))

    def weight(self, revision: str, *, confirmed: bool) -> float:
        """Percent of live traffic of a revision, as confirmed or as last asked for."""
        traffic = _map(self._status, "traffic")
        slots, split = _map(traffic, "slots"), _map(traffic, "confirmed" if confirmed else "wanted")
        return sum(_int(split, slot) for slot in ("a", "b") if revision and slots.get(slot) == revision) * 100 / PARTS

    @property
    def conditions(self) -> dict[str, ConditionView]:
        """The conditions by type."""
        return {
            _text(raw, "type"): ConditionView(
                _text(raw, "type"),
                _text(raw, "status") == "True",
                _text(raw, "reason"),
                _text(raw, "message"),
                _time(raw, "lastTransitionTime"),
            )
            for raw in _maps(self._status, "conditions")
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
                _text(raw, "revision"),
                _text(raw, "modelVersion"),
                _text(raw, "trainingData"),
                _text(raw, "outcome"),
                _text(raw, "reason"),
                _text(raw, "message"),
                _time(raw, "started"),
                _time(raw, "ended"),
            )
            for raw in _maps(self._status, "history")
        ]

    def _map_of_strategy(self) -> Mapping[str, Any]:
        return _map(self._spec, "strategy")


def parse_time(text: str) -> datetime | None:
    """An RFC 3339 time, None if it is none."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def parse_duration(text: str) -> timedelta | None:
    """A duration such as `90s` or `1h30m`, None if it is none."""
    if not re.fullmatch(r"(?:[0-9]+(?:h|ms|m|s))+", text):
        return None
    try:
        return timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in _DURATION.findall(text)))
    except OverflowError:
        return None


def _map(raw: object, key: str) -> Mapping[str, Any]:
    value = raw.get(key) if isinstance(raw, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _list(raw: object, key: str) -> list[Any]:
    value = raw.get(key) if isinstance(raw, Mapping) else None
    return value if isinstance(value, list) else []


def _maps(raw: object, key: str) -> Iterator[Mapping[str, Any]]:
    return (entry for entry in _list(raw, key) if isinstance(entry, Mapping))


def _text(raw: Mapping[str, Any], key: str) -> str:
    """A text on one line. Whoever may write status must not be able to steer a reader's terminal."""
    value = raw.get(key)
    return _CONTROL.sub(" ", value) if isinstance(value, str) else ""


def _int(raw: Mapping[str, Any], key: str) -> int:
    value = raw.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _time(raw: Mapping[str, Any], key: str) -> datetime | None:
    return parse_time(_text(raw, key))


def _duration(raw: Mapping[str, Any], key: str) -> timedelta | None:
    return parse_duration(_text(raw, key))


def _tally(check: Mapping[str, Any], arm: str) -> Tally | None:
    trial = _map(check, "trial")
    if arm not in trial:
        return None
    counts = _map(trial, arm)
    return Tally(_int(counts, "events"), _int(counts, "total"))
