"""What the edges of `seatrial_scores` can see, beside what people have otherwise. Exact: no sampling.

The populations are normal in log-odds, the simplest shape of scores that come out of a logistic function: medians of
-6 to 6 (scores of 0.25 % to 99.75 %), spreads of 0.5 to 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

import pytest

from seatrial.core.bins import NEAR
from seatrial_scores import EDGES

MLSERVER = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Those of `mlserver.log` between 0 and 1: prometheus_client's default, made for seconds."""
TWENTIETHS = tuple(k / 20 for k in range(1, 21))
POPULATIONS = [(mean, spread) for mean in range(-6, 7) for spread in (0.5, 1, 1.5, 2, 3)]
RARE = [(mean, spread) for mean, spread in POPULATIONS if mean <= 0]
"""Populations in which high scores are the rare ones."""


def below(edge: float, mean: float, spread: float) -> float:
    """The share of scores up to an edge."""
    if edge >= 1:
        return 1.0
    return 0.5 * math.erfc(-(math.log(edge / (1 - edge)) - mean) / spread / math.sqrt(2))


def above(edge: float, mean: float, spread: float) -> float:
    return below(1 - edge, -mean, spread) if edge < 1 else 0.0


def near(edges: Sequence[float], share: float, mean: float, spread: float) -> bool:
    """Whether an edge cuts off this share of the highest scores, as nearly as a drift check asks for."""
    return any(NEAR[0] * share <= above(edge, mean, spread) <= NEAR[1] * share for edge in edges)


def kept(edges: Sequence[float], mean: float, spread: float) -> float:
    """How much of the PSI of a shift by half a spread is left in the buckets; in full it is 0.25."""
    marks = [0.0, *edges]

    def shares(at: float) -> list[float]:
        return [
            above(low, at, spread) - above(high, at, spread) if low else below(high, at, spread)
            for low, high in pairwise(marks)
        ]

    pairs = zip(shares(mean), shares(mean + spread / 2), strict=True)
    return sum((p - q) * math.log(p / q) for p, q in pairs if p > 1e-9 and q > 1e-9) / 0.25


def within(edges: Sequence[float], share: float) -> float:
    """In which share of populations a drift check finds an edge for the highest scores."""
    return sum(near(edges, share, *population) for population in RARE) / len(RARE)


def test_the_edges_are_few_and_the_same_from_both_ends() -> None:
    assert len(EDGES) + 4 <= 40, "with +Inf, sum, count and created"
    assert all(low < high for low, high in pairwise(EDGES))
    assert EDGES[-1] == 1.0
    assert EDGES[:-1] == pytest.approx([1 - edge for edge in reversed(EDGES[:-1])])


def test_the_top_percent_and_the_top_thousandth_have_an_edge_near() -> None:
    assert within(EDGES, 0.01) >= 0.85
    assert within(EDGES, 0.001) >= 0.85
    for others in (MLSERVER, TWENTIETHS):
        assert within(others, 0.01) <= 0.7
        assert within(others, 0.001) <= 0.6


def test_a_shift_is_seen_nearly_whole_wherever_the_scores_lie() -> None:
    seen = [kept(EDGES, *population) for population in POPULATIONS]
    assert median(seen) >= 0.95
    assert min(seen) >= 0.75
    for others in (MLSERVER, TWENTIETHS):
        assert min(kept(others, *population) for population in POPULATIONS) <= 0.05


def table() -> str:
    """What ADR 0038 quotes."""
    rows = ["edges  near the top 1 %  near the top 0.1 %  PSI kept: median, least"]
    for name, edges in (("ours", EDGES), ("MLServer", MLSERVER), ("twentieths", TWENTIETHS)):
        seen = [kept(edges, *population) for population in POPULATIONS]
        shares = f"{within(edges, 0.01):.0%}  {within(edges, 0.001):.0%}  {median(seen):.0%}  {min(seen):.0%}"
        rows.append(f"{name}  {len(edges)}  {shares}")
    return "\n".join(rows)
