"""The fleet in arrays takes the way of the real planner: the same counts, the same steps, looks and end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from seatrial.api.spec import ModelDeploymentSpec

np = pytest.importorskip("numpy", reason="make test installs numpy")
pytestmark = pytest.mark.timeout(300)

from seatrial.simulate import fleet, predictions, world  # noqa: E402  they need numpy
from seatrial.simulate.counts import Counts, Four, Stretch  # noqa: E402
from seatrial.simulate.course import Course, course  # noqa: E402
from seatrial.simulate.fleet import End, Watched  # noqa: E402
from seatrial.simulate.judge import Array  # noqa: E402
from seatrial.simulate.traffic import Candidate, Traffic  # noqa: E402

HORIZON = 4 * 3600.0
BASE: dict[str, Any] = {
    "port": 8080,
    "template": {"spec": {"containers": [{"name": "m", "image": "m:v1"}]}},
    "traffic": {"hostnames": ["a.example.com"]},
}
SHORT = {"canary": {"steps": [{"weight": w, "minDuration": "2m"} for w in (5, 25, 50)]}}
NONE = {"probation": {"duration": "0s"}}
ONE = {"analysis": {"checks": [{"name": "errors", "preset": "Errors"}]}}
LOWER: dict[str, Any] = {
    "name": "orders",
    "share": {"of": "orders_total", "per": "offers_total"},
    "margin": {"points": "3"},
    "worseWhen": "Lower",
}


class Told:
    """The counts that the planner has seen, for a fleet of one."""

    def __init__(self, voyage: world.Voyage) -> None:
        self.voyage, self.at = voyage, 0

    def past(self, length: float, windows: int) -> list[Mapping[str, tuple[Array, Array]]]:
        assert len(self.voyage.past) == windows
        return [
            {name: (np.array([events]), np.array([total])) for name, (events, total) in window.items()}
            for window in self.voyage.past
        ]

    def hour(self, name: str) -> tuple[int, Array, Array]:
        rows, inflation = self.voyage.bins[name]
        return rows, np.array([1e9]), np.array([inflation])

    def between(self, stretch: Stretch) -> Counts:
        if self.at >= len(self.voyage.looks):
            pytest.fail(f"the planner has looked {self.at} times, and the fleet looks on, at {stretch.end[0]:.0f} s")
        look = self.voyage.looks[self.at]
        self.at += 1
        predicted = {name: (np.zeros((rows, 1)), np.zeros((rows, 1))) for name, (rows, _) in self.voyage.bins.items()}
        predicted |= {
            name: (np.array(mine)[:, None], np.array(others)[:, None])
            for name, (mine, others) in look.predictions.items()
        }
        shares = {name: _arrays(look.counts.get(name, (0, 0, 0, 0))) for name in self.voyage.past[0]}
        total = max((tally[1] for tally in look.counts.values()), default=0)
        return Counts(np.array([total]), shares, predicted)


def _arrays(tally: tuple[int, int, int, int]) -> Four:
    e, n, b, m = (np.array([number]) for number in tally)
    return e, n, b, m


def plan(**changes: Any) -> Course:
    return course("fraud", ModelDeploymentSpec.model_validate({**BASE, **changes}))


HEALTHY, BAD = Candidate("identical"), Candidate("bad", {"errors": 0.05})
FEW, MANY = Traffic(3.0, {"errors": 0.01, "latency": 0.05}), Traffic(60.0, {"errors": 0.01, "latency": 0.05}, 2.0)
CASES: dict[str, tuple[Course, Traffic, Candidate, End]] = {
    "the defaults": (plan(**ONE), MANY, HEALTHY, End.ACCEPTED),
    "two checks": (plan(strategy={"stages": [SHORT], **NONE}), MANY, HEALTHY, End.ACCEPTED),
    "a bad model": (plan(), MANY, BAD, End.BACK),
    "few requests": (plan(strategy={"stages": [SHORT], **NONE}, **ONE), FEW, HEALTHY, End.ACCEPTED),
    "a bad model of few requests": (plan(**ONE), FEW, BAD, End.BACK),
    "a late fault": (
        plan(**ONE), MANY, Candidate("late", {"errors": 0.05}, late=700.0), End.BACK,
    ),
    "a fault on probation": (
        plan(strategy={"stages": [SHORT], "probation": {"duration": "1h", "holdback": 10}}, **ONE),
        MANY, Candidate("late", {"errors": 0.05}, late=1500.0), End.BACK_LATER,
    ),
    "a fault on probation, above the ceiling": (
        plan(strategy={"stages": [SHORT], "probation": {"duration": "1h"}}, **ONE),
        MANY, Candidate("late", {"errors": 0.25}, late=1500.0), End.BACK_LATER,
    ),
    "shadow, then canary": (
        plan(strategy={"stages": [{"shadow": {"percent": 30, "minDuration": "3m"}}, SHORT], **NONE}, **ONE),
        MANY, HEALTHY, End.ACCEPTED,
    ),
    "a bad model in the shadow": (
        plan(strategy={"stages": [{"shadow": {"percent": 30, "minDuration": "3m"}}, SHORT]}, **ONE),
        MANY, BAD, End.BACK,
    ),
    "shadow, then blue-green": (
        plan(strategy={"stages": [{"shadow": {"percent": 50, "minDuration": "10m"}}, {"blueGreen": {"minDuration": "2m"}}]},
             **ONE),
        MANY, HEALTHY, End.ACCEPTED,
    ),
    "undecided, pauses": (
        plan(strategy={"stages": [{"canary": {"steps": [{"weight": 5, "minDuration": "1m", "maxDuration": "4m"}]}}]}, **ONE),
        FEW, HEALTHY, End.UNDECIDED,
    ),
    "undecided, goes back": (
        plan(strategy={"stages": [{"canary": {"steps": [{"weight": 5, "minDuration": "1m", "maxDuration": "4m"}]}}],
                       "onUndecided": "Rollback"}, **ONE),
        FEW, HEALTHY, End.UNDECIDED,
    ),
    "a failure that pauses": (
        plan(analysis={"checks": [{"name": "errors", "preset": "Errors", "onFail": "Pause"}]}), MANY, BAD, End.PAUSED,
    ),
    "a share that must not fall": (
        plan(analysis={"checks": [LOWER]}), Traffic(60.0, {"orders": 0.3}), Candidate("bad", {"orders": -0.12}), End.BACK,
    ),
    "a share that does not fall": (
        plan(strategy={"stages": [SHORT], **NONE}, analysis={"checks": [LOWER], "interval": "20s", "minSamples": 3000}),
        Traffic(60.0, {"orders": 0.3}), HEALTHY, End.ACCEPTED,
    ),
}  # fmt: skip
DRIFT = {"name": "scores", "drift": {"histogram": "model_score"}}
KINDS_OF_CLASS = predictions.Shares(("block", "review", "allow"), (0.03, 0.07, 0.9))
SCORED = Traffic(30.0, {"errors": 0.01}, predictions={"scores": predictions.even()})
ERRORS = {"name": "errors", "preset": "Errors"}
ORDERS = {**LOWER, "share": {"of": "orders_total", "per": "offers_total", "revisionLabel": "revision"}}


def _drifted(shares: predictions.Shares, shift: float, late: float = 0.0) -> Candidate:
    return Candidate("drifted", predictions={"scores": shares.moved(shift)}, late=late)


CASES |= {
    "predictions that have moved": (
        plan(analysis={"checks": [ERRORS, DRIFT]}), SCORED, _drifted(predictions.even(), 1.0), End.PAUSED,
    ),
    "predictions that move late": (
        plan(strategy={"stages": [SHORT], "probation": {"duration": "1h", "holdback": 20}},
             analysis={"checks": [{**DRIFT, "onFail": "Rollback"}]}),
        SCORED, _drifted(predictions.even(), -1.0, late=700.0), End.BACK_LATER,
    ),
    "predictions that move on probation pause nothing": (
        plan(strategy={"stages": [SHORT], "probation": {"duration": "20m", "holdback": 20}}, analysis={"checks": [DRIFT]}),
        SCORED, _drifted(predictions.even(), -1.0, late=700.0), End.ACCEPTED,
    ),
    "predictions in a shadow": (
        plan(strategy={"stages": [{"shadow": {"percent": 30, "minDuration": "3m"}}, SHORT], **NONE},
             analysis={"checks": [ERRORS, DRIFT]}),
        SCORED, HEALTHY, End.ACCEPTED,
    ),
    "classes that have moved": (
        plan(analysis={"checks": [{"name": "scores", "drift": {"classes": "a_total", "by": "b", "statistic": "JS"}}]}),
        Traffic(30.0, {}, predictions={"scores": KINDS_OF_CLASS}), _drifted(KINDS_OF_CLASS, -0.8), End.PAUSED,
    ),
    "labels that come late, with their requests": (
        plan(strategy={"stages": [SHORT], **NONE}, analysis={"checks": [ORDERS]}),
        Traffic(60.0, {"orders": 0.3}, delays={"orders": 900.0}, all_late=True), HEALTHY, End.ACCEPTED,
    ),
    "labels that come late, after their requests": (
        plan(analysis={"checks": [ORDERS]}),
        Traffic(60.0, {"orders": 0.3}, delays={"orders": 900.0}), HEALTHY, End.BACK,
    ),
    "labels that a shadow has none of": (
        plan(strategy={"stages": [{"shadow": {"percent": 30, "minDuration": "3m"}}, SHORT], **NONE},
             analysis={"checks": [ERRORS, ORDERS]}),
        Traffic(60.0, {"errors": 0.01, "orders": 0.3}), HEALTHY, End.ACCEPTED,
    ),
}  # fmt: skip
ENDS = {"accepted": End.ACCEPTED, "sent back": End.BACK, "sent back later": End.BACK_LATER, "paused": End.PAUSED}


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("name", CASES)
def test_the_fleet_takes_the_way_of_the_planner(name: str, seed: int) -> None:
    way, traffic, candidate, end = CASES[name]
    voyage = world.sail(way, traffic, candidate, seed, HORIZON)
    watched = Watched([])
    trials = fleet.sail(way, Told(voyage), 1, HORIZON, watched)
    assert ENDS.get(voyage.end, End.UNDECIDED) is end
    assert [step for _, step in watched.looks] == [look.step for look in voyage.looks]
    assert [at for at, _ in watched.looks] == pytest.approx([look.at for look in voyage.looks], abs=1.0)
    assert End(int(trials.end[0])) is end


def test_the_same_seed_is_the_same_voyage() -> None:
    way, traffic, candidate, _ = CASES["two checks"]
    first, again, other = (world.sail(way, traffic, candidate, seed, HORIZON) for seed in (4, 4, 5))
    assert first == again
    assert first.said != other.said


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (
            ("seatrial.runtime.main", "seatrial.runtime.operator", "seatrial.compare.main"),
            ("numpy", "seatrial.simulate"),
        ),
        (("seatrial.cli.main", "seatrial.cli.lint", "seatrial.cli.simulating"), ("numpy",)),
    ],
    ids=["the operator and the comparer", "the command line"],
)
def test_nobody_else_imports_numpy(modules: tuple[str, ...], absent: tuple[str, ...]) -> None:
    """It costs memory and a start; what is simulated is no part of the operator."""
    script = f"import sys, {', '.join(modules)}; print(*(set({absent!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
