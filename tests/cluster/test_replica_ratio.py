"""Without a gateway on a real node: clients connect to the Service, pods are weights, and nobody loses a request."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Any

import pytest

from tests.cluster.api import Object
from tests.cluster.model import Model, lost_nothing

NONE = {"duration": "0s"}
STEPS = [{"weight": 25, "minDuration": "10s"}, {"weight": 50, "minDuration": "10s"}]
CANARY = {"canary": {"steps": STEPS}}
FLIP = {"blueGreen": {"minDuration": "2s", "approval": {"when": "ToLeave"}}}


def by_pods(model: Model, *stages: Object, probation: Object = NONE, replicas: int = 3, **environment: Any) -> Object:
    traffic = {"replicaRatio": {}, "drain": "3s", "preview": {}}
    strategy = {"stages": list(stages), "probation": probation}
    more = {"strategy": strategy, "traffic": traffic}
    return model.spec(replicas=replicas, more=more, TELL_REVISION="yes", **environment)


def selected(model: Model, service: str = "m") -> str | None:
    """The one revision that a Service leads to; None for every pod of the model."""
    selector = model.api.get("Service", model.namespace, service)["spec"]["selector"]
    found: str | None = selector.get("seatrial.dev/revision")
    return found


def share(answers: dict[str, int], revision: str) -> float:
    """The part of the answers that one revision gave."""
    return answers.get(revision, 0) / max(1, sum(answers.values()))


@pytest.mark.together
def test_a_canary_of_pods_and_its_abort(model: Model) -> None:
    """One pod beside three gets a quarter; an abort takes it out at once; the next trial is promoted."""
    model.apply(by_pods(model, CANARY, GENERATION=1))
    first = model.stable()
    with model.service_traffic() as traffic, model.service_traffic(20, fresh_every=1_000_000) as kept_open:
        model.apply(by_pods(model, CANARY, GENERATION=2))
        second = model.on_step(25, 60)
        assert selected(model) is None
        time.sleep(6)
        got = share(traffic.answers(4), second)
        model.notes.append(f"1 of 4 pods got {100 * got:.1f} % of the requests")
        assert 0.15 < got < 0.35
        model.ask("abort")
        began = time.monotonic()
        model.until("the Service leads to stable alone", lambda _: selected(model) == first)
        model.notes.append(f"aborted: the Service is narrow after {time.monotonic() - began:.2f} s")
        model.sent_back()
        time.sleep(2)
        assert set(traffic.answers(1)) == {first}
        model.apply(by_pods(model, CANARY, GENERATION=3))
        third = model.on_step(50, 90)
        time.sleep(6)
        got = share(traffic.answers(4), third)
        model.notes.append(f"3 of 6 pods got {100 * got:.1f} % of the requests")
        assert 0.38 < got < 0.62
        assert model.stable(90, other_than=first) == third
        assert selected(model) == third
        time.sleep(2)
        assert set(traffic.answers(1)) == {third}
    lost_nothing(traffic.report)
    report = kept_open.report
    model.notes.append(f"a client that keeps its connections: {report.sent} sent, {report.lost_total} lost")
    assert model.api.find("HTTPRoute", model.namespace, model.name) is None


@pytest.mark.together
def test_a_bad_model_is_sent_back_by_the_numbers_of_its_own_server(model: Model) -> None:
    model.apply(by_pods(model, CANARY, GENERATION=1))
    first = model.stable()
    with model.service_traffic() as traffic:
        model.apply(by_pods(model, CANARY, GENERATION=2, ERROR_RATE=0.5))
        status = model.sent_back(90)
        second = status["rejected"]["revision"]
        time.sleep(3)
        assert set(traffic.answers(1)) == {first}
    assert "check errors failed" in status["message"]
    assert status["checks"][0]["source"] == "Runtime"
    report = traffic.report
    lost_nothing(report, but=second)
    assert report.lost_by[second] > 0


@pytest.mark.together
def test_a_flip_and_back_without_a_gateway(model: Model) -> None:
    """Full size behind the preview Service, one write to flip, one write to flip back."""
    kept = {"duration": "10m", "keep": "Full"}
    model.apply(by_pods(model, FLIP, probation=kept, replicas=2, GENERATION=1))
    first = model.stable()
    with (
        model.service_traffic() as traffic,
        model.service_traffic(20, fresh_every=1_000_000) as kept_open,
        closing(model.connection()) as held,
    ):
        model.apply(by_pods(model, FLIP, probation=kept, replicas=2, GENERATION=2))
        status = model.until(
            "the approval is waited for",
            lambda s: s.get("rollout", {}).get("overlay", {}).get("kind") == "AwaitingApproval",
        )
        second = status["candidate"]
        assert (selected(model), selected(model, "m-preview")) == (first, second)
        assert set(traffic.answers(2)) == {first}
        assert model.answers_on(held) == first
        model.ask("approve")
        model.until("probation", lambda s: s.get("phase") == "Probation")
        assert selected(model) == second
        time.sleep(2)
        assert set(traffic.answers(1)) == {second}
        assert model.answers_on(held) == first, "a connection stays where it is, as docs/routers.md says"
        stayed = share(kept_open.answers(1), first)
        model.notes.append(f"flipped: kept connections still bring {100 * stayed:.0f} % to the revision before")
        model.ask("abort")
        began = time.monotonic()
        model.until("the Service leads back", lambda _: selected(model) == first)
        model.notes.append(f"flipped back: one write after {time.monotonic() - began:.2f} s")
        model.sent_back()
        time.sleep(2)
        assert set(traffic.answers(1)) == {first}
    lost_nothing(traffic.report)
    lost_nothing(kept_open.report)


@pytest.mark.together
def test_a_selector_edited_by_hand_is_put_back(model: Model) -> None:
    """At rest and in a canary, within two seconds, with the weight that was there."""
    model.apply(by_pods(model, CANARY, GENERATION=1))
    first = model.stable()
    assert _repaired(model, first) < 2
    with model.service_traffic():
        model.apply(by_pods(model, CANARY, GENERATION=2))
        second = model.on_step(25, 60)
        began = model.status["rollout"]["confirmedAt"]
        assert _repaired(model, None) < 2
        assert model.status["rollout"]["confirmedAt"] == began
        assert model.stable(90, other_than=first) == second


def _repaired(model: Model, wanted: str | None) -> float:
    """Seconds until the Service leads where it did before a hand changed it."""
    patch = {"spec": {"selector": {"seatrial.dev/revision": "0000000000"}}}
    model.api.merge("Service", model.namespace, model.name, patch)
    began = time.monotonic()
    model.until("the selector is put back", lambda _: selected(model) == wanted)
    took = time.monotonic() - began
    model.notes.append(f"selector put back after {took:.2f} s")
    return took
