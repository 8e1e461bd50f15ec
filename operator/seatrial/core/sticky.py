"""Users who stay with one revision: who is drawn when, which marks they bear, and where each of them is answered.

An answer marks the user whom it drew, and he sends his mark back. `candidate` means that he is the candidate's for the
rest of the trial; `stable-10` that he was drawn when its weight was 10 % and is stable's until the weight rises. Then he
is drawn once more, so that of all users exactly the new weight are the candidate's and none of them ever goes back: of
those whom 10 % left to stable, (50 - 10) / (100 - 10) go over at 50 %.

The rules for users who bear a mark are always the same number, and only their marks and weights change: a gateway that
names what it sends to by the place of a rule would else lose requests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from seatrial.api.status import PARTS, Rollout, Sticky, TrafficStatus
from seatrial.build.revision import digest
from seatrial.build.route import ANY, Group, Slot
from seatrial.core.traffic import MINIMUM, SLOTS, SlotName, as_backends, parts, slot_of, weight_of

REDRAWN = 3
"""Rules for users whom an earlier step drew, the latest first. The last one takes all steps before its own too: who was
away for so many steps goes over less often than his absence would ask for, never more."""
GROUPS = 2 + REDRAWN
"""Rules for users who bear a mark: the candidate's, those who are drawn again, and stable's."""
LONGEST = 64
"""Steps that are remembered: what a rule may match."""

Pair = tuple[Slot, Slot]


@dataclass(frozen=True, slots=True)
class _Bearers:
    """Users who bear one of these marks."""

    marks: tuple[str, ...]
    share: int = 0
    """Parts of a million of them, or of their requests, for the candidate."""
    redrawn: bool = False
    """Their mark is old: they are drawn, and get another."""


def between(weight: int) -> bool:
    """Whether both revisions have a real share: one part of a million is none."""
    return MINIMUM < weight < PARTS - MINIMUM


def follow(traffic: TrafficStatus, trial: Rollout | None, *, asked: bool, settled: bool) -> Sticky | None:
    """What the next route, with these weights, says of users. None: it has no rules for them.

    Those rules come and go only while nobody bears a mark, and draws begin once the proxies are known to have them.
    """
    old = traffic.sticky
    if not asked:
        return None if old is None or (old == Sticky() and settled) else Sticky()
    if old is None:
        return Sticky()
    if trial is not None and trial.back is None:
        weight = weight_of(traffic, trial.revision, confirmed=False)
        if between(weight):
            return _draw(old, trial, weight * 100 // PARTS, settled=settled)
    goes_on = trial is not None and trial.revision == old.revision
    return old if goes_on or between(weight_of(traffic, old.revision, confirmed=False)) else Sticky()


def _draw(old: Sticky, trial: Rollout, percent: int, *, settled: bool) -> Sticky:
    """Users are drawn at this many percent from now on."""
    if old.revision != trial.revision or not old.drawn:
        name = digest(f"{trial.revision} {trial.started.isoformat()}", 10)
        return Sticky(trial=name, revision=trial.revision, drawn=[percent]) if settled else old
    if percent == old.drawn[-1]:
        return old
    if percent > old.drawn[-1]:
        return old.model_copy(update={"drawn": [*old.drawn, percent][-LONGEST:]})
    # Somebody edited the steps and lowered the weight: everybody is drawn anew.
    return Sticky(trial=digest(f"{old.trial} {percent}", 10), revision=trial.revision, drawn=[percent])


def live_rules(traffic: TrafficStatus) -> int:
    """How many rules of the route carry live traffic, from rule 0 on."""
    return 1 + GROUPS if traffic.sticky is not None and traffic.sticky.drawn else 1


def rules(traffic: TrafficStatus, *, direct: bool = False) -> tuple[Group, ...]:
    """The route's rules for live traffic: that for everybody, and those for users who bear a mark.

    Where only one revision has a real share all rules have the weights of the first one, so that a backend enters and
    leaves all of them in the same steps. A group of nobody has a mark that no answer gives.
    """
    live = as_backends(traffic.slots, traffic.wanted, direct=direct)
    if live is None:
        return ()
    sticky, weight = traffic.sticky, 0
    if sticky is None:
        return (Group((), live),)
    slot = slot_of(traffic.slots, sticky.revision)
    if slot is not None and sticky.drawn:
        weight = weight_of(traffic, sticky.revision, confirmed=False)
    marked = _giving(live, slot, sticky) if between(weight) and weight == parts(sticky.drawn[-1]) else live
    groups = [
        Group(some.marks, _split(marked if some.redrawn else live, some.share, slot) if between(weight) else live)
        for some in _bearers(sticky, weight)
    ]
    return (Group((), marked), *groups)


def _bearers(sticky: Sticky, weight: int) -> list[_Bearers]:
    """All groups of users, in the order of their rules.

    The last group takes what the ones before it leave, so that a proxy that is late, and knows nothing of a step yet,
    lets those alone whom it drew. A group of nobody has a mark that no answer gives.
    """
    nobody = [_Bearers((f"nobody-{place}",)) for place in range(GROUPS)]
    if not sticky.drawn:
        return nobody
    *past, last = sticky.drawn
    risen = weight if weight >= parts(last) else 0  # on the way back nobody else meets the candidate
    late, early = past[::-1][: REDRAWN - 1], past[::-1][REDRAWN - 1 :]
    redrawn = [
        _Bearers(tuple(_stable(sticky, at) for at in drawn_at), _moving(drawn_at[0], risen), redrawn=True)
        for drawn_at in [*([at] for at in late), *([early] if early else [])]
    ]
    return [
        _Bearers((_candidate(sticky),), weight * PARTS // max(weight, parts(last))),
        *redrawn,
        *nobody[1 + len(redrawn) : -1],
        _Bearers((_stable(sticky, ANY),), _moving(last, risen)),
    ]


def _moving(drawn_at: int, weight: int) -> int:
    """Parts of those whom a draw left to stable who go over to the candidate at a weight."""
    return max(0, weight - parts(drawn_at)) * PARTS // (PARTS - parts(drawn_at))


def _candidate(sticky: Sticky) -> str:
    return f"{sticky.trial}-candidate"


def _stable(sticky: Sticky, drawn_at: int | str) -> str:
    return f"{sticky.trial}-stable-{drawn_at}"


def _giving(pair: Pair, candidate: SlotName | None, sticky: Sticky) -> Pair:
    """The backends with the marks that their answers give."""
    theirs, others = _candidate(sticky), _stable(sticky, sticky.drawn[-1])
    a, b = (theirs, others) if candidate == SLOTS[0] else (others, theirs)
    return replace(pair[0], mark=a), replace(pair[1], mark=b)


def _split(pair: Pair, share: int, candidate: SlotName | None) -> Pair:
    """The backends with a share for the candidate. Nobody's is 0: a backend that comes later comes from one part."""
    share = min(max(share, MINIMUM), PARTS - MINIMUM)
    a, b = (share, PARTS - share) if candidate == SLOTS[0] else (PARTS - share, share)
    return replace(pair[0], weight=a), replace(pair[1], weight=b)
