"""Requests that take longer than a change of weights, and streams that take longer than a step."""

from __future__ import annotations

import time

import pytest

from tests.cluster.model import Model, lost_nothing


@pytest.mark.together
def test_slow_requests_and_streams_survive_a_promotion_and_an_abort(model: Model) -> None:
    """What is under way is answered to its end by the revision that began it, however long that is within the drain."""
    model.apply(model.spec(drain="25s", GENERATION=1))
    first = model.stable()
    with model.crowd(streams=20) as crowd:
        model.apply(model.spec(drain="25s", GENERATION=2))
        second = model.stable(75, other_than=first)
        model.until("the old revision is gone", lambda s: [r["name"] for r in s["revisions"]] == [second])
        model.apply(model.spec(drain="25s", steps=[(50, "10m")], GENERATION=3))
        third = model.on_step(50)
        time.sleep(8)  # a dozen streams begin, half of them there: an abort at once would find none to cut
        model.ask("abort", "half of all streams are its")
        model.sent_back(60)
        model.until("the candidate is gone", lambda s: [r["name"] for r in s["revisions"]] == [second])
    for kind, report in crowd.reports.items():
        lost_nothing(report)
        assert set(report.revisions) == {first, second, third}, kind
    assert crowd.reports["stream"].latency["max"] < 22
