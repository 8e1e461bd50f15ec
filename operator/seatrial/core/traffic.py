"""The route's two slots: what is asked of the gateway, what is known of the proxies, what comes next.

Three rules, each of which cost somebody requests (design, part 6):

* A slot that carries traffic never changes its Service; one part of a million is not traffic.
* A backend goes from 0 up, and from anything down to 0, through one part of a million, each confirmed:
  the proxies learn of the backend before any real share depends on it.
* A weight is believed only when every parent has accepted the route as it is, a dwell time ago.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from seatrial.api.status import PARTS, Accepted, Slots, Split, TrafficStatus
from seatrial.build.names import child_name
from seatrial.build.route import Copies, Group, Slot
from seatrial.core.state import Backend, Route

SlotName = Literal["a", "b"]
SLOTS: tuple[SlotName, SlotName] = ("a", "b")
MINIMUM = 1
"""The weight through which a backend enters and leaves, in parts."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at the route says of the traffic."""

    status: TrafficStatus
    settled: bool
    """The weights written last are the weights the proxies are known to have."""
    wait: timedelta | None = None
    """Until the dwell time is over."""


def parts(percent: int) -> int:
    """Percent as parts of a million."""
    return percent * PARTS // 100


def percent(count: int) -> str:
    """Parts of a million as percent, for a person: `25`, `0`, `33.3`."""
    return f"{count / (PARTS / 100):.1f}".removesuffix(".0")


def other(slot: SlotName) -> SlotName:
    """The slot beside this one."""
    return "b" if slot == "a" else "a"


def slot_of(slots: Slots, revision: str | None) -> SlotName | None:
    """The slot that holds a revision."""
    if revision is None:
        return None
    return next((slot for slot in SLOTS if getattr(slots, slot) == revision), None)


def weight_of(traffic: TrafficStatus, revision: str | None, *, confirmed: bool) -> int:
    """A revision's weight in parts, as confirmed or as last written."""
    slot = slot_of(traffic.slots, revision)
    if slot is None:
        return 0
    return int(getattr(traffic.confirmed if confirmed else traffic.wanted, slot))


def highest(traffic: TrafficStatus, revision: str | None) -> int:
    """The most that a revision may be getting right now: written or confirmed, whichever is more."""
    return max(weight_of(traffic, revision, confirmed=c) for c in (True, False))


def lowest(traffic: TrafficStatus, revision: str | None) -> int:
    """The least that a revision may be getting right now."""
    return min(weight_of(traffic, revision, confirmed=c) for c in (True, False))


def as_backends(slots: Slots, wanted: Split, *, direct: bool = False) -> tuple[Slot, Slot] | None:
    """What the route says for weights by slot; None while there is nothing to say.

    An empty slot lends one part to the revision in the other. So the proxies always know both backends, and a hand
    that moves weights at rest, or our putting them back, does not make them learn of one under full traffic.
    `direct` lends nothing, for the control run.
    """
    a, b = slots.a or slots.b, slots.b or slots.a
    if a is None or b is None or wanted == Split():
        return None
    if direct:
        pass
    elif slots.a is None:
        wanted = Split(a=MINIMUM, b=wanted.b - MINIMUM)
    elif slots.b is None:
        wanted = Split(a=wanted.a - MINIMUM, b=MINIMUM)
    return Slot(a, wanted.a), Slot(b, wanted.b)


def copies_of(traffic: TrafficStatus) -> Copies | None:
    """What the route says of copies."""
    mirror = traffic.mirror
    return None if mirror is None else Copies(mirror.revision, mirror.percent, mirror.compared)


def as_written(model: str, traffic: TrafficStatus, route: Route | None, rules: Sequence[Group]) -> bool:
    """Whether the route in the cluster is the one we wrote last, with these rules for live traffic."""
    if route is None or not rules:
        return False
    if route.open and 0 in (traffic.wanted.a, traffic.wanted.b):
        return False  # who is not ready yet shows no weight, and gets it a moment later
    copies = copies_of(traffic)
    if list(route.copies) != ([] if copies is None else copies.targets(model)):
        return False
    live = [[Backend(child_name(model, slot.revision), slot.weight) for slot in rule.slots] for rule in rules]
    return [list(backends) for backends in (route.backends, *route.others)][: len(live)] == live


def read(
    model: str,
    traffic: TrafficStatus,
    route: Route | None,
    now: datetime,
    dwell: timedelta,
    rules: Sequence[Group],
    *,
    edited: bool,
) -> Reading:
    """Confirm what the gateway has accepted for long enough: these rules for live traffic.

    `edited`: somebody changed the route by hand.
    """
    if route is None or edited or not as_written(model, traffic, route, rules) or not route.accepted:
        since = None if traffic.slots == Slots() else traffic.unsettled_since or now
        return Reading(traffic.model_copy(update={"accepted": None, "unsettled_since": since}), settled=False)
    accepted = traffic.accepted
    if accepted is None or accepted.generation != route.generation or accepted.since > now:
        # A moment that is still to come was written by a clock that went ahead: the dwell begins anew.
        accepted = Accepted(generation=route.generation, since=now)
    left = accepted.since + dwell - now
    if left > timedelta(0):
        since = traffic.unsettled_since or now
        waiting = {"accepted": accepted, "unsettled_since": since}
        return Reading(traffic.model_copy(update=waiting), settled=False, wait=left)
    idle = traffic.idle_since
    if min(traffic.wanted.a, traffic.wanted.b) > 0:
        idle = None
    elif idle is None or traffic.confirmed != traffic.wanted:
        idle = now
    confirmed = {"accepted": accepted, "confirmed": traffic.wanted, "idle_since": idle, "unsettled_since": None}
    return Reading(traffic.model_copy(update=confirmed), settled=True)


def drained(traffic: TrafficStatus, revision: str, now: datetime, drain: timedelta) -> bool:
    """Whether a revision has been without traffic, confirmed, for the drain time."""
    if slot_of(traffic.slots, revision) is None:
        return True
    if highest(traffic, revision) > 0 or traffic.idle_since is None:
        return False
    return now - traffic.idle_since >= drain


def vacate(traffic: TrafficStatus, revision: str) -> TrafficStatus:
    """Empty the slot of a revision that has no traffic."""
    slot = slot_of(traffic.slots, revision)
    if slot is None:
        return traffic
    return traffic.model_copy(update={"slots": traffic.slots.model_copy(update={slot: None})})


def occupy(traffic: TrafficStatus, revision: str) -> TrafficStatus | None:
    """Put a revision into the free slot; None while neither is free."""
    if slot_of(traffic.slots, revision) is not None:
        return traffic
    free = next((slot for slot in SLOTS if getattr(traffic.slots, slot) is None), None)
    if free is None:
        return None
    return traffic.model_copy(update={"slots": traffic.slots.model_copy(update={free: revision})})


def found(route: Route | None, traffic: TrafficStatus, revision: str) -> int:
    """A revision's weight in the route as it is, in parts; all of them where that cannot be told.

    What goes back never rises above it, even where the status that told of its last fall was lost.
    """
    slot = slot_of(traffic.slots, revision)
    if route is None or slot is None or len(route.backends) != len(SLOTS):
        return PARTS
    return route.backends[SLOTS.index(slot)].weight


def caught_up(model: str, traffic: TrafficStatus, route: Route | None, falling: Mapping[str, int]) -> TrafficStatus:
    """The weights to go on from: those of the route, where it is further on a way down than status knows.

    A write whose status was lost must not be taken back: a revision that has no pods any more would rise again.
    `falling` are parts by revision that are to lose weight.
    """
    if route is None or len(route.backends) != len(SLOTS) or None in (traffic.slots.a, traffic.slots.b):
        return traffic
    live = {slot: backend.weight for slot, backend in zip(SLOTS, route.backends, strict=True)}
    for slot, backend in zip(SLOTS, route.backends, strict=True):
        revision = getattr(traffic.slots, slot)
        if backend.service != child_name(model, revision) or sum(live.values()) != PARTS:
            return traffic
        if falling.get(revision, PARTS) <= live[slot] < getattr(traffic.wanted, slot):
            return traffic.model_copy(update={"wanted": Split(**live), "accepted": None})
    return traffic


def step_towards(
    traffic: TrafficStatus, goal: Mapping[str, int], *, settled: bool, direct: bool = False
) -> TrafficStatus:
    """The next weights on the way to a goal (parts by revision; what it does not name goes to 0).

    `direct` skips the one-part step: it loses requests, and exists for the control run.
    """
    aims = {slot: goal.get(getattr(traffic.slots, slot) or "", 0) for slot in SLOTS}
    if sum(aims.values()) != PARTS:
        raise ValueError(f"weights sum to {sum(aims.values())} of {PARTS}: {aims}")
    alone = sum(1 for slot in SLOTS if getattr(traffic.slots, slot) is not None) == 1
    nothing_yet = traffic.wanted == Split()
    if direct or alone or nothing_yet:
        return traffic.model_copy(update={"wanted": Split(**aims)})
    for slot in SLOTS:
        now = getattr(traffic.wanted, slot)
        if aims[slot] > MINIMUM and (now == 0 or (now == MINIMUM and not settled)):
            return _wanted(traffic, slot, MINIMUM)
    for slot in SLOTS:
        now = getattr(traffic.wanted, slot)
        if aims[slot] == 0 and now > 0:
            return _wanted(traffic, slot, 0 if now == MINIMUM and settled else MINIMUM)
    return traffic.model_copy(update={"wanted": Split(**aims)})


def _wanted(traffic: TrafficStatus, slot: SlotName, weight: int) -> TrafficStatus:
    split = {slot: weight, other(slot): PARTS - weight}
    return traffic.model_copy(update={"wanted": Split(**split)})
