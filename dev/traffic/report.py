"""What is sent, and what is said about it afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

REFUSED = "refused"
"""No connection: nobody listens, or nobody can be reached."""
RESET = "reset"
"""The connection ended before a whole answer had come."""
TIMEOUT = "timeout"
"""The deadline passed."""
STATUS = "status"
"""An answer with another status than 200."""
BODY = "body"
"""A 200 whose body is not the one expected; a stream that has a gap or ends before its last event."""
STALL = "stall"
"""A stream that says nothing for longer than allowed."""

KINDS = (REFUSED, RESET, TIMEOUT, STATUS, BODY, STALL)


@dataclass(frozen=True, slots=True)
class Request:
    """One body to send, and what has to come back."""

    body: str
    data: Sequence[float | int | str] | None = None
    """`outputs[0].data` of the answer; None: anything. Numbers are equal within 0.0001."""
    events: int | None = None
    """The answer is a stream of so many server-sent events, with the ids 0, 1, 2 …, each an answer with `data`."""

    def line(self) -> str:
        """As a line of a requests file."""
        return json.dumps({"body": json.loads(self.body), "data": self.data, "events": self.events})

    @staticmethod
    def parse(line: str) -> Request:
        """From a line of a requests file: `{"body": {…}, "data": […], "events": 9}`, the latter two optional."""
        value = json.loads(line)
        return Request(json.dumps(value["body"]), value.get("data"), value.get("events"))


@dataclass(slots=True)
class Second:
    """One second of the clock: what was sent in it, and what ended in it."""

    at: int
    """Unix time."""
    sent: int = 0
    answered: int = 0
    lost: int = 0
    revisions: dict[str, int] = field(default_factory=dict)
    """Answers by the response header `x-model-revision`; empty name where there was none."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One request that was lost."""

    at: float
    """Unix time of its end."""
    kind: str
    detail: str
    """The status and the start of the body, or the error."""
    revision: str
    """Who answered, where anybody did."""
    fresh: bool
    """It had a connection of its own."""
    after: float
    """Seconds from the moment it was due."""

    def text(self) -> str:
        """For a person."""
        clock = time.strftime("%H:%M:%S", time.gmtime(self.at)) + f"{self.at % 1:.3f}"[1:]
        return f"  {clock} lost {self.kind} by {self.revision or 'nobody'} after {self.after:.3f} s: {self.detail}"


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to. `sent == answered + sum(lost)` once it has ended."""

    sent: int
    answered: int
    """Answers that were as expected."""
    lost: Mapping[str, int]
    """By kind; empty if nothing was lost."""
    late: int
    """Requests that this client itself sent more than 50 ms after they were due."""
    worst_late: float
    """Seconds."""
    latency: Mapping[str, float]
    """Seconds from the moment a request was *due* to its answer: `p50`, `p95`, `p99`, `max`."""
    revisions: Mapping[str, int]
    """Expected answers by revision."""
    lost_by: Mapping[str, int]
    """Lost requests by the revision that answered them wrongly; an empty name where nobody is known to have answered."""
    seconds: Sequence[Second]
    losses: Sequence[Loss]
    """The first of them, with what happened."""
    cpu: float = 0.0
    """Seconds of processor time that the client used."""

    @property
    def lost_total(self) -> int:
        """Requests lost, of every kind."""
        return sum(self.lost.values())

    def lost_beside(self, *revisions: str) -> int:
        """Requests lost, without those that these revisions answered wrongly themselves.

        What nobody answered is noted under no revision, and is never anybody's own.
        """
        return self.lost_total - sum(self.lost_by.get(revision, 0) for revision in revisions if revision)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Report:
        """From plain data."""
        seconds = [Second(**entry) for entry in value["seconds"]]
        losses = [Loss(**entry) for entry in value["losses"]]
        return Report(**{**value, "seconds": seconds, "losses": losses})

    def text(self) -> str:
        """For a person."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.lost.items()) or "none"
        spread = ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in self.latency.items()) or "no answer"
        who = ", ".join(f"{name or 'no revision'} {count}" for name, count in sorted(self.revisions.items()))
        lines = [
            f"sent      {self.sent}",
            f"answered  {self.answered}",
            f"lost      {self.lost_total} ({kinds})",
            f"late      {self.late} sent over 50 ms late by this client, worst {1000 * self.worst_late:.0f} ms",
            f"latency   {spread}",
            f"revisions {who or 'none'}",
        ]
        lines += [loss.text() for loss in self.losses[:10]]
        return "\n".join(lines)
