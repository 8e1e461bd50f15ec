"""The control run. The same client, the same models, with the operator's two precautions switched off: it has to see
losses, or all the zeros elsewhere prove nothing."""

from __future__ import annotations

from tests.cluster.installed import Operator
from tests.cluster.model import Model

VOYAGES = 10
"""Tries: each loses about one request in a thousand; the first loss ends them."""


def test_without_the_precautions_requests_are_lost(model: Model, operator: Operator) -> None:
    """No sleep before a pod's end, and weights that go between 0 and n in one step."""
    unjudged = {"analysis": {"interval": "5s", "none": "a control run"}}
    with operator.environment(SEATRIAL_UNSAFE_TRAFFIC="yes", SEATRIAL_DWELL="300ms"):
        model.apply(model.spec(steps=[(50, "0s")], more=unjudged, GENERATION=0))
        stable = model.stable()
        with model.traffic(rate=200) as leaving:
            for _ in range(VOYAGES):
                model.replace_pods(stable)
                if leaving.totals()[2]:
                    break
        with model.traffic(rate=200) as jumping:
            for voyage in range(1, VOYAGES + 1):
                model.apply(model.spec(steps=[(50, "0s")], more=unjudged, GENERATION=voyage))
                stable = model.stable(60, other_than=stable)
                if jumping.totals()[2]:
                    break
    assert leaving.report.lost_total > 0, "pods that leave without a sleep have to lose requests"
    assert jumping.report.lost_total > 0, f"weights that jump have to lose requests ({VOYAGES} voyages)"
