"""The benchmark's judge in arrays is the product's judge."""

from __future__ import annotations

import pytest

from seatrial.core.checks.gathering import gathered
from seatrial.core.checks.terms import terms_of
from seatrial.core.statistics.sequential import against, averaged
from tests.checks.builders import ERRORS, INTERVAL, arms, looked, situation
from tests.checks.world import T0

np = pytest.importorskip("numpy", reason="make test installs numpy")


@pytest.mark.parametrize(
    ("share", "base", "requests"), [(0.01, 0.01, 300), (0.05, 0.01, 300), (0.5, 0.0, 40), (0.12, 0.1, 900)]
)
def test_both_judges_gather_the_same_evidence(share: float, base: float, requests: int) -> None:
    from benchmarks.vector import Judge

    draw = np.random.default_rng(5)
    terms = terms_of(ERRORS)
    mine = Judge(1, terms)
    windows = [(int(draw.binomial(requests, base)), requests) for _ in range(60)]
    for events, total in windows:
        mine.past(np.array([float(events)]), np.array([float(total)]))
    have = looked([], past=[arms((0, 0), window) for window in windows])
    for index in range(1, 40):
        weight = 5.0 if index < 20 else 50.0
        n = int(draw.poisson(requests * weight / 100))
        m = requests - min(n, requests)
        e, b = int(draw.binomial(n, share)), int(draw.binomial(m, base))
        have = gathered(have, situation(T0 + index * INTERVAL, weight=weight), arms((e, n), (b, m)), terms)
        e1, n1, b1, m1 = (np.array([float(x)]) for x in (e, n, b, m))
        mine.look(e1, n1, b1, m1, np.array([weight / 100]), 15.0)
        (side,) = have.evidence
        age = index * 15.0
        assert mine.harm()[0] == pytest.approx(against([x / 1e3 for x in side.worse], age), abs=0.1)
        for got, kept in zip(mine.passes(), (side.step, side.trial), strict=True):
            assert got[0] == pytest.approx(averaged([x / 1e3 for x in kept]), abs=0.1)
