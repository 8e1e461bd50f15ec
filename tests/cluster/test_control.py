"""The control run. The same clients, the same models, with the operator's precautions switched off: they have to see
losses, or all the zeros elsewhere prove nothing."""

from __future__ import annotations

from tests.cluster.control import QUICK, VOYAGES, all_lost, careless, jump, leave, without_precautions
from tests.cluster.installed import Operator
from tests.cluster.model import Model


def test_without_the_precautions_requests_are_lost(model: Model, operator: Operator) -> None:
    """Quick ones, slow ones and streams."""
    with without_precautions(operator):
        model.apply(careless(model, 0))
        stable = model.stable()
        with model.crowd(streams=10, quick=QUICK) as crowd:
            leave(model, stable, lambda: all_lost(crowd.lost()))
        with model.traffic(rate=50 * QUICK) as jumping:
            jump(model, stable, lambda: jumping.totals()[2] > 0)
    lost = {kind: report.lost_total for kind, report in crowd.reports.items()}
    assert all_lost(lost), f"pods that leave without a sleep have to lose quick and slow requests and streams: {lost}"
    assert jumping.report.lost_total > 0, f"weights that jump have to lose requests ({VOYAGES} voyages)"
