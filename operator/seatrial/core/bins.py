"""The bins of a drift check, chosen once from what stable predicted in the hour before the trial.

Neighbouring buckets are put together until each bin holds a tenth of stable's predictions. The top 1 % and 0.1 % get bins of
their own where an edge is near enough: that is where a fraud model's decisions are made. No bin is empty for stable, except the
last one of classes, which holds whatever is new.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seatrial.core.plain import plain

LEAST = 200
"""Predictions of stable in the hour before from which on bins can be chosen."""
BODY = 0.1
"""The share of stable's predictions that a bin holds at least, tails aside."""
RAREST = 0.02
"""A last bin before the tails with less is put together with the one below it."""
TAILS = (0.01, 0.001)
NEAR = (1 / 3, 1.5)
"""A tail may hold so many times as much as it should."""
SEEN = 5
"""Predictions that a tail or a class must hold to be a bin."""
CLASSES = 23
"""Classes with bins of their own at the most."""
CROWDED = 0.95
"""With more of the predictions in two buckets, a histogram shows too little."""
LONGEST_CLASS = 128


@dataclass(frozen=True, slots=True)
class Frozen:
    """Chosen bins."""

    marks: tuple[str, ...]
    """Upper edges as spelled, or classes; the last bin has no mark."""
    blind: str = ""
    """What they cannot show, and what to do."""


def of_histogram(
    edges: Mapping[float, str], counts: Sequence[int], *, whose: str = "stable's", when: str = " of the last hour"
) -> Frozen | str:
    """Bins of a histogram with these finite edges and counts by bucket (one more), or why it cannot show a difference.

    `whose` and `when` say in sentences which predictions they were.
    """
    order, total = sorted(edges), sum(counts)
    crowded = sorted(range(len(counts)), key=lambda i: -counts[i])[:2]
    inside = sum(counts[i] for i in crowded) / total
    if inside > CROWDED or len(order) < 2:
        told = " and ".join(f"{told_bin(order, [i])} ({counts[i] / total:.1%})" for i in sorted(crowded))
        return (
            f"{inside:.1%} of {whose} {total:,} predictions{when} lie in {told}, so the buckets cannot show a "
            f"difference: give the histogram edges where the predictions are, such as 0.05, 0.1 … 0.95 for scores from 0 to 1, "
            "or compare classes"
        )
    tails = _tails(order, counts)
    cuts: list[float] = []
    held = 0
    for edge, count in zip(order, counts, strict=False):
        held += count
        if tails and edge >= tails[0]:
            held -= count
            break
        if held >= BODY * total:
            cuts.append(edge)
            held = 0
    if not tails:
        held += counts[-1]
    elif order.index(tails[0]) < len(counts):
        held += counts[order.index(tails[0])]
    if held < RAREST * total and cuts:
        cuts.pop()
    cuts += tails
    blind = ""
    if not tails or _above(order, counts, tails[0]) < NEAR[0] * TAILS[0] * total:
        blind = (
            f"cannot see the top 1 %: {_near_top(order, counts, whose)}; give the histogram finer buckets there, or add a share "
            "check of the decisions beside it"
        )
    return Frozen(tuple(edges[cut] for cut in cuts), blind)


def of_classes(counts: Mapping[str, int]) -> Frozen:
    """Bins of classes: those that stable does predict, the others together."""
    seen = [name for name, count in counts.items() if count >= SEEN and 0 < len(name) <= LONGEST_CLASS]
    return Frozen(tuple(sorted(seen, key=lambda name: (-counts[name], name))[:CLASSES]))


def told_bin(cuts: Sequence[float], positions: Sequence[int]) -> str:
    """The bins at these positions, which are neighbours, for a person.

    >>> told_bin([0.1, 0.9], [1]), told_bin([0.1, 0.9], [0]), told_bin([0.1, 0.9], [1, 2]), told_bin([0.99999], [1])
    ('0.1–0.9', '≤ 0.1', '> 0.1', '> 0.99999')
    """
    first, last = positions[0], positions[-1]
    if last == len(cuts):
        return f"> {plain(cuts[first - 1])}" if first else "everything"
    return f"{plain(cuts[first - 1])}–{plain(cuts[last])}" if first else f"≤ {plain(cuts[last])}"


def _above(order: Sequence[float], counts: Sequence[int], edge: float) -> int:
    return sum(counts[order.index(edge) + 1 :])


def _tails(order: Sequence[float], counts: Sequence[int]) -> list[float]:
    """Edges that cut off about the wanted shares, ascending."""
    total, out = sum(counts), []
    for wanted in TAILS:
        usable = [
            (abs(math.log(above / (wanted * total))), edge)
            for edge in order
            if (above := _above(order, counts, edge)) >= SEEN
            and NEAR[0] * wanted * total <= above <= NEAR[1] * wanted * total
        ]
        if usable and (edge := min(usable)[1]) not in out:
            out.append(edge)
    return sorted(out)


def _near_top(order: Sequence[float], counts: Sequence[int], whose: str) -> str:
    total = sum(counts)
    holding = [edge for edge in order if _above(order, counts, edge) >= SEEN]
    if not holding:
        return f"no edge has {SEEN} of {whose} {total:,} predictions above it"
    share = _above(order, counts, holding[-1]) / total
    return f"the last edge with predictions above it is {plain(holding[-1])}, and {share:.2%} of {whose} are above it"
