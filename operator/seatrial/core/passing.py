"""One pass: what it looks at, and the book it writes its sentences into.

A rule takes the pass and the status and returns the status it leaves behind. Rules never write to the
cluster and never read a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from seatrial.api.spec import ModelDeploymentSpec
from seatrial.api.status import Rollout, Status
from seatrial.core.legs import Leg, drill, legs
from seatrial.core.questions import Answers
from seatrial.core.state import Event, Installation, Observed, Workload


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing can advance until a person changes something."""

    reason: str
    message: str


@dataclass(slots=True)
class Pass:
    """The inputs of one pass, and what its rules have to say."""

    observed: Observed
    spec: ModelDeploymentSpec
    wanted: str
    """The revision that the spec asks for."""
    answers: Answers
    now: datetime
    installation: Installation
    settled: bool = False
    """The proxies are known to have the weights written last."""
    moved: bool = False
    """The gateway is about to count under other names: nothing is counted now."""
    returning: bool = False
    """A team's own rule goes back to it, and nothing new begins."""
    looked: bool = False
    """This pass read the evidence."""
    distances: dict[str, float | None] | None = None
    """Of live predictions from their snapshots, by name, where this pass looked at some."""
    blocked: str = ""
    """What capacity the candidate's pods lack, until when that may be, and what follows."""
    blocked_until: datetime | None = None
    """When waiting for capacity ends; None where it does not."""
    blocked_then: str = ""
    """What follows."""
    holding: str = ""
    """What evidence is missing."""
    stall: Stall | None = None
    notes: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    wakes: list[timedelta] = field(default_factory=list)
    legs: tuple[Leg, ...] = field(init=False)
    """The steps of all stages."""

    def __post_init__(self) -> None:
        self.legs = legs(self.spec.strategy)

    @property
    def replicas(self) -> int:
        """Pods of a full-size revision."""
        return self.spec.replicas

    def way(self, rollout: Rollout) -> tuple[Leg, ...]:
        """The steps of what is under way: a trial's, or a drill's."""
        if rollout.drill is None:
            return self.legs
        return drill(self.spec.analysis.interval, shared=any(leg.shared for leg in self.legs))

    def workload(self, revision: str | None) -> Workload | None:
        """A revision's Deployment and pods, if there are any."""
        return None if revision is None else self.observed.workloads.get(revision)

    def ready(self, revision: str | None) -> int:
        """Ready pods of a revision."""
        workload = self.workload(revision)
        return 0 if workload is None else workload.ready

    def note(self, sentence: str) -> None:
        """Write down a decision."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def event(self, reason: str, message: str, kind: Literal["Normal", "Warning"] = "Normal") -> None:
        """Write down a decision that people are told of."""
        self.note(message)
        self.events.append(Event(kind, reason, message[:1024]))

    def wake(self, after: timedelta) -> None:
        """Ask for another pass, at the latest after this time."""
        self.wakes.append(max(after, timedelta(milliseconds=50)))

    def block(self, sentence: str, until: datetime | None = None, then: str = "") -> None:
        """Say that the candidate waits for capacity; without an end where nothing follows."""
        self.blocked, self.blocked_until, self.blocked_then = sentence, until, then

    def stalled(self, status: Status, reason: str, message: str) -> None:
        """Say that a person is needed; the event is written once for each reason."""
        if self.stall is not None:
            return
        self.stall = Stall(reason, message)
        before = next((c for c in status.conditions if c.type == "Stalled"), None)
        if before is None or before.status != "True" or before.reason != reason:
            self.event(reason, message, "Warning")
        else:
            self.note(message)
