"""What every router is: something that divides live requests between stable and a candidate.

A router is one module with a class of this form and one line in `ROUTERS`. It says what it can do, how many pods a
weight needs, which objects stand for the weights in status, and what the objects in the cluster say of the weights
that are in force. It decides nothing: which weights there shall be is `core/voyage.py` and `core/traffic.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from seatrial.api.spec import RouterKind
from seatrial.api.status import Slots, Status
from seatrial.core.legs import Leg
from seatrial.core.passing import Pass
from seatrial.core.state import Manifest, Ref, Route


@dataclass(frozen=True, slots=True)
class Sight:
    """What a router reads: our objects, and what the cluster's own controllers have made of them."""

    model: str
    objects: Mapping[Ref, Manifest]
    """Our objects as they are."""
    slots: Slots
    """Which revision is meant to be in which slot."""
    endpoints: Sequence[Manifest] = ()
    """The EndpointSlices of the model's Service, for a router that `reads_endpoints`."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What a person has to clear before this router can carry anything new."""

    reason: str
    """One CamelCase word."""
    message: str


class Router(Protocol):
    """One kind of router."""

    kind: RouterKind
    unconfirmed: str
    """How a sentence begins that says why written weights are not in force: `the gateway does not take the route`."""
    counts: bool
    """Its own metrics tell the revisions apart."""
    enters: bool
    """A backend goes from 0 up, and from anything down to 0, through one part of a million."""
    scales: bool
    """Pods are weights: every pod gets a like share, so a candidate has just the pods of its weight."""
    reads_endpoints: bool
    """Its weights are in force once the EndpointSlices of the model's Service show them; no event tells of that."""

    def holder(self, model: str) -> Ref:
        """The object that holds the weights. It must be ours; an edit of it is an edit of the weights."""

    def url(self, p: Pass) -> str:
        """Where clients reach the model."""

    def pods(self, leg: Leg, replicas: int) -> int:
        """Pods that a candidate needs on a leg; `replicas` is stable's full size."""

    def pods_at(self, parts: int, replicas: int) -> int:
        """Pods that a candidate needs at a weight in parts of a million."""

    def weight(self, leg: Leg, replicas: int) -> int:
        """The weight that a leg really gives a candidate, in parts of a million."""

    def told(self, leg: Leg, replicas: int) -> str:
        """The exposure of a leg as it really is, for a person."""

    def obstacle(self, p: Pass, status: Status) -> Obstacle | None:
        """Why nothing new can begin through this router."""

    def objects(self, p: Pass, status: Status) -> list[Manifest]:
        """The objects for the weights, copies and preview that status wants, beside each revision's own."""

    def read(self, sight: Sight) -> Route | None:
        """What the objects in the cluster say; None where there is nothing yet."""
