"""What is missing or in the way ends in a sentence that says what to do. What serves goes on serving."""

from __future__ import annotations

import time

import pytest

from tests.cluster.model import PARTS, Model, lost_nothing


@pytest.mark.together
def test_a_quota_forbids_the_candidates_pods(model: Model) -> None:
    """Missing capacity is nobody's fault: it waits, says so, and goes on by itself."""
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "pods", "namespace": model.namespace}}
    model.api.create({**quota, "spec": {"hard": {"pods": "2"}}})
    with model.traffic() as traffic:
        time.sleep(1)
        model.apply(model.spec(GENERATION=2, more={"progressDeadline": "10s"}))
        status = model.until("blocked", lambda s: (s.get("rollout", {}).get("overlay") or {}).get("kind") == "Blocked")
        assert "exceeded quota" in status["message"]
        time.sleep(12)
        assert model.status["phase"] == "Preparing", "the deadline does not run while there is no capacity"
        model.api.merge("ResourceQuota", model.namespace, "pods", {"spec": {"hard": {"pods": "9"}}})
        model.on_step(20, 60)
        assert model.status["stable"] == first
    lost_nothing(traffic.report)


@pytest.mark.together
def test_an_image_that_cannot_be_pulled(model: Model) -> None:
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        model.apply(model.spec("localhost/no-such-image:1", more={"progressDeadline": "10s"}))
        status = model.sent_back()
    lost_nothing(traffic.report)
    assert set(traffic.report.revisions) == {first}
    assert status["rejected"]["reason"] == "ImageUnavailable"
    assert "no-such-image" in status["message"]
    assert model.condition("Available")["status"] == "True"


@pytest.mark.together
def test_a_missing_gateway(model: Model) -> None:
    spec = model.spec(GENERATION=1)
    spec["traffic"]["gatewayAPI"] = {"parentRefs": [{"name": "nowhere", "namespace": "gateways"}]}
    model.apply(spec)
    model.until(
        "a sentence", lambda s: any(c["type"] == "Stalled" and c["status"] == "True" for c in s.get("conditions", []))
    )
    stalled = model.condition("Stalled")
    assert stalled["reason"] == "GatewayNotReady"
    assert "nowhere" in stalled["message"]
    # Events are posted once the status is stored, so a moment after it.
    model.until("the event", lambda _: ("GatewayNotReady", stalled["message"]) in model.events())
    model.apply(model.spec(GENERATION=1))
    model.stable()


@pytest.mark.together
def test_a_gateway_that_goes_missing_leaves_what_serves(model: Model) -> None:
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    spec = model.spec(GENERATION=1)
    spec["traffic"]["gatewayAPI"] = {
        "parentRefs": [{"name": "gateway", "namespace": "gateways"}, {"name": "nowhere", "namespace": "gateways"}]
    }
    with model.traffic() as traffic:
        model.apply(spec)
        model.until("stalled", lambda _: model.condition("Stalled")["status"] == "True")
        time.sleep(2)
        model.apply(model.spec(GENERATION=1))
        assert model.stable() == first
    lost_nothing(traffic.report)


def test_prometheus_is_away(model: Model) -> None:
    """An outage of the metrics is no failure of the model: the weight stays, and rises when they are back."""
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    prometheus = ("Deployment", "monitoring", "prometheus")
    with model.traffic() as traffic:
        model.apply(model.spec(GENERATION=2, steps=[(20, "10s"), (50, "5s")]))
        second = model.on_step(20)
        model.api.merge(*prometheus, {"spec": {"replicas": 0}}, subresource="scale")
        try:
            status = model.until(
                "holding", lambda s: (s.get("rollout", {}).get("overlay") or {}).get("kind") == "Holding"
            )
            assert "prometheus" in status["message"].lower()
            time.sleep(12)
            assert model.weights() == {first: PARTS * 80 // 100, second: PARTS * 20 // 100}
            assert model.status["phase"] == "Canary"
        finally:
            model.api.merge(*prometheus, {"spec": {"replicas": 1}}, subresource="scale")
        assert model.stable(120, other_than=first) == second
    lost_nothing(traffic.report)


@pytest.mark.together
def test_a_name_that_is_taken(model: Model) -> None:
    """A foreign object is never taken over."""
    foreign = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "m", "namespace": model.namespace},
        "spec": {"hostnames": ["other.example.com"], "parentRefs": [{"name": "gateway", "namespace": "gateways"}]},
    }
    model.api.create(foreign)
    before = model.route()["spec"]
    model.apply(model.spec(GENERATION=1))
    model.until("a sentence", lambda _: model.condition("Stalled")["reason"] == "NameTaken")
    assert "HTTPRoute/m" in model.condition("Stalled")["message"]
    assert model.route()["spec"] == before
    model.api.delete("HTTPRoute", model.namespace, "m")
    model.stable(60)


@pytest.mark.together
def test_a_template_that_the_api_server_refuses(model: Model) -> None:
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    spec = model.spec(GENERATION=2)
    spec["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "lots"}}
    with model.traffic() as traffic:
        model.apply(spec)
        model.until("a sentence", lambda _: model.condition("Stalled")["reason"] == "InvalidSpec")
        assert "lots" in model.condition("Stalled")["message"] or "quantit" in model.condition("Stalled")["message"]
    lost_nothing(traffic.report)
    assert set(traffic.report.revisions) == {first}
