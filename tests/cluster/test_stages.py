"""Shadow, blue-green and probation on a real gateway: who answers, who gets copies, and that nobody loses a request."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

from tests.cluster.api import Object
from tests.cluster.model import PARTS, Model, lost_nothing, staged

SHADOW = {"shadow": {"percent": 50, "minDuration": "5s"}}
CANARY = {"canary": {"steps": [{"weight": 50, "minDuration": "5s"}]}}
BODY = '{"inputs": [{"name": "input-0", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}]}'


def answered_by(model: Model, headers: dict[str, str]) -> str | None:
    """The revision that answers one request with these headers."""
    connection = http.client.HTTPConnection(*model.gateway, timeout=10)
    connection.request("POST", f"/v2/models/{model.model}/infer", BODY, {"Host": model.host, **headers})
    answer = connection.getresponse()
    connection.close()
    assert answer.status == 200
    return answer.getheader("x-model-revision")


@pytest.mark.together
def test_a_shadow_and_then_a_canary(model: Model) -> None:
    """The candidate gets copies and no weight; then it answers, and is promoted."""
    model.apply(staged(model, SHADOW, CANARY, GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        model.apply(staged(model, SHADOW, CANARY, GENERATION=2))
        status = model.until(
            "the shadow in force", lambda s: s.get("phase") == "Shadow" and s["rollout"].get("confirmedAt")
        )
        second = status["candidate"]
        (mirror,) = model.route()["spec"]["rules"][0]["filters"]
        assert mirror["requestMirror"]["percent"] == 50
        assert mirror["requestMirror"]["backendRef"]["name"] == f"m-{second}"
        assert model.weights() == {first: PARTS}, "the candidate has no weight"
        assert set(traffic.answers(60)) == {first}, "nobody gets an answer of the candidate"
        model.until("copies are counted", lambda s: copied(s) > 50)
        model.on_step(50)
        assert "filters" not in model.route()["spec"]["rules"][0], "the copies have ended"
        assert model.stable(60, other_than=first) == second
    lost_nothing(traffic.report)


def copied(status: Object) -> int:
    """Requests of the candidate that a shadow's check has counted."""
    checks = status.get("checks", [])
    return int(checks[0].get("step", {}).get("candidate", {}).get("total", 0)) if checks else 0


@pytest.mark.together
def test_a_bad_model_is_stopped_in_the_shadow(model: Model) -> None:
    """It answers every second copy with an error; not one user meets it."""
    model.apply(staged(model, SHADOW, CANARY, GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        model.apply(staged(model, SHADOW, CANARY, GENERATION=2, ERROR_RATE=0.5))
        status = model.sent_back()
    assert "check errors failed" in status["message"]
    assert set(traffic.report.revisions) == {first}
    lost_nothing(traffic.report)


@pytest.mark.together
def test_a_model_that_answers_otherwise_is_stopped_in_the_shadow(model: Model) -> None:
    """200 OK, quick, and another number than stable's: nobody meets it. The comparer can be killed at any time."""
    check = {"name": "same", "agreement": {}, "margin": {"points": "20"}}
    same: Object = {"checks": [check], "interval": "5s", "minSamples": 10}

    def compared(**environment: Any) -> Object:
        return {**staged(model, SHADOW, CANARY, **environment), "analysis": same}

    model.apply(compared(GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        model.apply(compared(GENERATION=2))
        second = model.on_step(50, 90)
        model.until("the comparer is gone", lambda _: not comparers(model))
        assert model.stable(60, other_than=first) == second
        model.apply(compared(GENERATION=3, ANSWER=2))
        model.until("the shadow", lambda s: s.get("phase") == "Shadow")
        (comparer,) = comparers(model)
        model.api.delete("Deployment", model.namespace, comparer)
        status = model.sent_back(90)
    assert "check same failed" in status["message"]
    assert "answers that differ" in status["message"]
    assert set(traffic.report.revisions) == {first, second}
    lost_nothing(traffic.report)


def comparers(model: Model) -> list[str]:
    """Deployments that compare answers."""
    found = model.api.list("Deployment", model.namespace, "seatrial.dev/comparer")
    return [item["metadata"]["name"] for item in found]


@pytest.mark.together
def test_blue_green_with_a_preview_and_an_approval_and_back(model: Model) -> None:
    """Full size behind the preview header, an approval, the flip, and from the probation back at once."""
    flip = {"blueGreen": {"minDuration": "2s", "approval": {"when": "ToLeave"}}}
    traffic_spec = {"hostnames": [model.host], "drain": "3s", "preview": {"header": "x-preview"}}
    kept = {"duration": "10m", "keep": "Full"}
    model.apply({**staged(model, flip, probation=kept, GENERATION=1), "traffic": traffic_spec})
    first = model.stable()
    with model.traffic() as traffic:
        model.apply({**staged(model, flip, probation=kept, GENERATION=2), "traffic": traffic_spec})
        status = model.until(
            "the approval is waited for",
            lambda s: s.get("rollout", {}).get("overlay", {}).get("kind") == "AwaitingApproval",
        )
        second = status["candidate"]
        assert model.weights() == {first: PARTS}
        assert len(model.pods(second)) == 2, "full size before the flip"
        assert answered_by(model, {"x-preview": "candidate"}) == second
        assert answered_by(model, {}) == first
        model.ask("approve")
        model.until("probation", lambda s: s.get("phase") == "Probation")
        assert model.weights() == {second: PARTS, first: 0}
        assert model.status["stable"] == second
        assert "2 pods" in model.status["kept"]
        model.ask("abort")
        model.sent_back()
        assert model.status["stable"] == first
    lost_nothing(traffic.report)
    assert model.status["history"][1]["probation"] == "Fail"


@pytest.mark.together
def test_a_probation_with_a_holdback_passes(model: Model) -> None:
    """The revision before answers its share and is compared with, then it goes."""
    probation = {"duration": "30s", "holdback": 20}
    model.apply(staged(model, CANARY, probation=probation, GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        model.apply(staged(model, CANARY, probation=probation, GENERATION=2))
        second = model.on_step(50)
        model.until("probation", lambda s: s.get("phase") == "Probation")
        model.until("the holdback", lambda _: model.weights() == {second: PARTS * 80 // 100, first: PARTS * 20 // 100})
        assert len(model.pods(first)) == 1, "what the holdback needs"
        model.until("the probation has ended", lambda s: s.get("phase") == "Stable", 60)
        model.until("the old revision is gone", lambda s: [r["name"] for r in s["revisions"]] == [second])
    lost_nothing(traffic.report)
    assert model.status["history"][0]["probation"] == "Pass", model.story()
