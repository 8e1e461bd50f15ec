"""The judge in arrays, of `seatrial simulate` and of the benchmarks, is the product's judge."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.api.spec import Check, CheckPreset
from seatrial.core.checks import restart
from seatrial.core.checks.gathering import gathered
from seatrial.core.checks.terms import terms_of
from seatrial.core.statistics.sequential import against, averaged
from tests.checks.builders import ERRORS, INTERVAL, arms, looked, situation
from tests.checks.world import T0

np = pytest.importorskip("numpy", reason="make test installs numpy")

from seatrial.simulate.judge import Judge  # noqa: E402  it needs numpy


def _own(**changes: Any) -> Check:
    share = {"of": "declined_total", "per": "answered_total"}
    return Check.model_validate({"name": "own", "share": share, "margin": {"points": "2"}, **changes})


CHECKS = {
    "errors": ERRORS,
    "no ceiling": Check(name="slow", preset=CheckPreset.LATENCY),
    "times of answers": Check(name="latency", preset=CheckPreset.LATENCY),
    "lower": _own(worseWhen="Lower"),
    "either": _own(worseWhen="Either"),
    "either, with a ceiling": _own(worseWhen="Either", max="30%"),
}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize(
    ("share", "base", "requests"), [(0.01, 0.01, 300), (0.05, 0.01, 300), (0.5, 0.0, 40), (0.12, 0.1, 900)]
)
@pytest.mark.parametrize("alone", [(), (10, 11, 35)], ids=["beside stable", "now and then alone"])
def test_both_judges_gather_the_same_evidence(
    share: float, base: float, requests: int, name: str, alone: tuple[int, ...]
) -> None:
    draw = np.random.default_rng(5)
    check = CHECKS[name]
    terms = terms_of(check)
    mine, one = Judge(1, terms), np.array([True])
    windows = [(int(draw.binomial(requests, base)), requests) for _ in range(60)]
    for events, total in windows:
        mine.past(np.array([float(events)]), np.array([float(total)]))
    have, began = looked([], check, past=[arms((0, 0), window) for window in windows]), 0
    for index in range(1, 40):
        weight, beside = 5.0 if index < 20 else 50.0, index not in alone
        n = int(draw.poisson(requests * weight / 100))
        m = requests - min(n, requests) if beside else 0
        e, b = int(draw.binomial(n, share)), int(draw.binomial(m, base))
        here = situation(T0 + index * INTERVAL, weight=weight, concurrent=beside)
        have = gathered(have, here, arms((e, n), (b, m)), terms)
        e1, n1, b1, m1 = (np.array([float(x)]) for x in (e, n, b, m))
        mine.look(e1, n1, b1, m1, np.array([weight / 100]), 15.0, beside=np.array([beside]))
        claims = [logs for side in have.evidence for logs in (side.worse, side.above) if logs]
        assert mine.claims()[0] == max(1, len(claims))
        said = [against([x / 1e3 for x in logs], (index - began) * 15.0) for logs in claims]
        assert mine.harm()[0] == pytest.approx(max(said, default=mine.harm()[0]), abs=0.1)
        if not alone:  # what a Pass takes begins anew when stable answers again
            for got, logs in zip(mine.passes(), ("step", "trial"), strict=True):
                kept = min(averaged([x / 1e3 for x in getattr(side, logs)]) for side in have.evidence)
                assert got[0] == pytest.approx(kept, abs=0.1)
        if index in (20, 30):
            have, began = restart(have, trial=index == 30), index if index == 30 else began
            (mine.forget if index == 30 else mine.restart)(one)
