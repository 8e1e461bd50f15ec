"""The judge of drift in arrays is the product's."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.api.spec import Check
from seatrial.api.status import CheckStatus, DriftStatus, Outcome
from seatrial.core.checks import drift as product
from seatrial.core.checks import restart
from seatrial.core.checks.judging import FALSE_ALARM
from seatrial.core.statistics import drift as statistics
from tests.checks.builders import INTERVAL, situation
from tests.checks.world import T0

np = pytest.importorskip("numpy", reason="make test installs numpy")

from seatrial.simulate import drifting, predictions  # noqa: E402  they need numpy


def _check(**changes: Any) -> Check:
    return Check.model_validate({"name": "scores", "drift": {"histogram": "score", **changes}})


CLASSES = {"histogram": None, "classes": "class_total", "by": "class"}
CHECKS = {
    "PSI": _check(),
    "JS": _check(statistic="JS"),
    "KS": _check(statistic="KS", max="0.1"),
    "a tight limit": _check(max="0.02"),
    "classes": _check(**CLASSES),
    "JS of classes": _check(**CLASSES, statistic="JS", max="0.1"),
}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("shift", [0.0, 0.3, -1.0])
@pytest.mark.parametrize("requests", [40, 6000])
def test_both_judges_take_the_same_verdicts(name: str, shift: float, requests: int) -> None:
    draw, check = np.random.default_rng(7), CHECKS[name]
    p = np.array([0.1] * 9 + [0.09, 0.009, 0.001])
    q = np.array(predictions.Shares(("",) * 12, tuple(p)).moved(shift).parts)
    mine = drifting.Drift(check, 12, np.array([5000.0]), np.array([1.6215]))
    have = CheckStatus(
        name="scores", through=T0, drift=DriftStatus(marks=[str(k) for k in range(1, 12)], inflation=1622)
    )
    said = set()
    for index in range(1, 120):
        a, b = draw.poisson(q * requests * 0.05), draw.poisson(p * requests * 0.95)
        if index == 60:
            have = restart(have, trial=False)
            mine.restart(np.array([True]))
        if index == 90:
            have = restart(have, trial=True)
            mine.forget(np.array([True]))
        assert have.drift is not None
        counted = {
            "candidate": product._plus(have.drift.candidate, a.tolist()),
            "stable": product._plus(have.drift.stable, b.tolist()),
        }
        here = situation(T0 + index * INTERVAL, weight=5.0, checks=3)
        folded = {"drift": have.drift.model_copy(update=counted), "outcome": Outcome.INCONCLUSIVE, "message": ""}
        have = product.judge(check, have.model_copy(update=folded), here)
        mine.look(a[:, None], b[:, None], np.array([15.0]), np.array([True]), np.array([FALSE_ALARM / 3]))
        assert have.drift is not None
        assert (mine.looks[0], mine.next[0]) == (have.drift.looks, have.drift.next)
        assert drifting.OUTCOMES[int(mine.outcome[0])] is have.drift.outcome
        assert mine.fails()[0] == (have.outcome is Outcome.FAIL)
        assert mine.passes(here.min_samples)[0] == (have.outcome is Outcome.PASS)
        said.add(str(have.outcome))
    assert said - {"Inconclusive"} or requests < 6000 or shift == 0.3


@pytest.mark.parametrize("ordered", [True, False])
def test_bins_are_put_together_as_the_product_does(ordered: bool) -> None:
    draw = np.random.default_rng(2)
    sizes = draw.choice([0.2, 1.0, 4.0, 6.0, 30.0], size=(8, 300))
    a, b = draw.poisson(sizes), draw.poisson(3 * sizes) + 1
    out_a, out_b, used = drifting.together(a, b, ordered=ordered)
    for trial in range(300):
        groups = statistics.together(a[:, trial].tolist(), b[:, trial].tolist(), ordered=ordered)
        for out, counts in ((out_a, a), (out_b, b)):
            assert out[used[:, trial], trial].tolist() == statistics.sums(counts[:, trial].tolist(), groups)


def test_predictions_that_hang_together_are_noticed_alike() -> None:
    draw = np.random.default_rng(3)
    for size, most in ((1, 400), (4, 400), (1, 2)):
        windows = size * draw.poisson(draw.random((1, 6, 20)) * most, size=(60, 6, 20))
        wanted = [statistics.inflation(windows[:, :, trial].tolist()) for trial in range(20)]
        assert drifting.inflation(windows) == pytest.approx(wanted)


def test_without_predictions_no_bins_are_chosen_and_nothing_is_counted() -> None:
    one = drifting.Drift(CHECKS["PSI"], 3, np.array([150.0]), np.array([1.5]))
    look = np.array([[20.0], [20.0], [20.0]])
    one.look(look, look, np.array([15.0]), np.array([True]), np.array([0.01]))
    assert one.mine.sum() == 0  # the look that chose them is not counted
    one.look(look, look, np.array([15.0]), np.array([True]), np.array([0.01]))
    assert one.mine.sum() == 60
    one.look(look, look, np.array([15.0]), np.array([False]), np.array([0.01]))
    assert one.mine.sum() == 60
