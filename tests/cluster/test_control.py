"""The control run. The same client, the same models, with the operator's two precautions switched off: it has to see
losses, or all the zeros elsewhere prove nothing."""

from __future__ import annotations

from tests.cluster.installed import Operator
from tests.cluster.model import Model

VOYAGES = 6


def test_without_the_precautions_requests_are_lost(model: Model, operator: Operator) -> None:
    """No sleep before a pod's end, and weights that go between 0 and n in one step."""
    with operator.environment(SEATRIAL_UNSAFE_TRAFFIC="yes"):
        unjudged = {"analysis": {"interval": "5s", "none": "a control run"}}
        model.apply(model.spec(steps=[(50, "0s")], more=unjudged, GENERATION=0))
        stable = model.stable()
        with model.traffic(rate=200) as traffic:
            for pod in model.pods(stable):
                model.api.delete("Pod", model.namespace, pod["metadata"]["name"])
            model.until("two other pods", lambda s: s["revisions"][0]["ready"] == 2 and len(model.pods(stable)) == 2)
            by_pods = traffic.totals()[2]
            for voyage in range(1, VOYAGES + 1):
                model.apply(model.spec(steps=[(50, "0s")], more=unjudged, GENERATION=voyage))
                stable = model.stable(60, other_than=stable)
                if traffic.totals()[2] > by_pods:
                    break
        report = traffic.report
    print(report.text())
    assert by_pods > 0, "pods that leave without a sleep have to lose requests"
    assert report.lost_total > by_pods, f"weights that jump have to lose requests ({voyage} voyages)"
