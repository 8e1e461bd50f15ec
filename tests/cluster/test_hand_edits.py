"""Somebody edits what the operator manages. It is put back within two seconds, the weight is kept, nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.cluster.api import Object
from tests.cluster.model import PARTS, Model, lost_nothing

REPAIRED_WITHIN = 2.0

Edit = Callable[[Model, str], None]
"""What somebody does, given the revision that serves most."""


def weights_moved(model: Model, revision: str) -> None:
    backends = model.route()["spec"]["rules"][0]["backendRefs"]
    swapped = [
        {"op": "replace", "path": f"/spec/rules/0/backendRefs/{i}/weight", "value": 500_000}
        for i in range(len(backends))
    ]
    model.api.patch("HTTPRoute", model.namespace, model.name, *swapped)


def filters_removed(model: Model, revision: str) -> None:
    backends = model.route()["spec"]["rules"][0]["backendRefs"]
    removed = [{"op": "remove", "path": f"/spec/rules/0/backendRefs/{i}/filters"} for i in range(len(backends))]
    model.api.patch("HTTPRoute", model.namespace, model.name, *removed)


def rule_added(model: Model, revision: str) -> None:
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/debug"}}],
        "backendRefs": [{"name": f"{model.name}-{revision}", "port": 80}],
    }
    model.api.patch("HTTPRoute", model.namespace, model.name, {"op": "add", "path": "/spec/rules/1", "value": rule})


def template_edited(model: Model, revision: str) -> None:
    added = {"op": "add", "path": "/spec/template/metadata/annotations/example.com~1hand", "value": "was here"}
    model.api.patch("Deployment", model.namespace, f"{model.name}-{revision}", added)


def fewer_replicas(model: Model, revision: str) -> None:
    patch = {"spec": {"replicas": 1}}
    model.api.merge("Deployment", model.namespace, f"{model.name}-{revision}", patch, subresource="scale")


def port_added(model: Model, revision: str) -> None:
    port = {"op": "add", "path": "/spec/ports/-", "value": {"name": "extra", "port": 9000, "protocol": "TCP"}}
    model.api.patch(
        "Service",
        model.namespace,
        f"{model.name}-{revision}",
        {"op": "add", "path": "/spec/ports/0/name", "value": "main"},
        port,
    )


EDITS: dict[str, Edit] = {
    edit.__name__: edit
    for edit in (weights_moved, filters_removed, rule_added, template_edited, fewer_replicas, port_added)
}


def picture(model: Model, *revisions: str) -> list[Object]:
    """The content of everything that is managed, as the API server holds it."""
    deployments = [model.deployment(revision)["spec"] for revision in revisions]
    services = [model.api.get("Service", model.namespace, f"{model.name}-{revision}")["spec"] for revision in revisions]
    return [model.route()["spec"], *deployments, *services]


def repaired(model: Model, before: list[Object], *revisions: str) -> float:
    """Seconds until everything is as it was."""
    began = time.monotonic()
    while picture(model, *revisions) != before:
        took = time.monotonic() - began
        assert took < 10, f"not repaired:\n{before}\n{picture(model, *revisions)}\n{model.story()}"
        time.sleep(0.03)
    return time.monotonic() - began


def shown(took: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in took.items())


@pytest.mark.together
def test_hand_edits_at_rest(model: Model) -> None:
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    took = {}
    with model.traffic(rate=200) as traffic:
        for name, edit in EDITS.items():
            before = picture(model, first)
            edit(model, first)
            took[name] = repaired(model, before, first)
            model.until(
                "everything ready again", lambda s: s["revisions"][0]["ready"] == 2 and len(model.pods(first)) == 2
            )
    model.notes.append(f"repaired after: {shown(took)}")
    lost_nothing(traffic.report)
    assert max(took.values()) < REPAIRED_WITHIN, took
    assert model.stable() == first


@pytest.mark.together
def test_hand_edits_in_mid_trial(model: Model) -> None:
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    took = {}
    with model.traffic(rate=200) as traffic:
        model.apply(model.spec(GENERATION=2, steps=[(20, "10m"), (50, "5s")]))
        second = model.on_step(20)
        for name, edit in EDITS.items():
            before = picture(model, first, second)
            edit(model, first)
            took[name] = repaired(model, before, first, second)
            assert model.weights() == {first: PARTS * 80 // 100, second: PARTS * 20 // 100}
            model.until(
                "everything ready again", lambda s: s["revisions"][0]["ready"] == 2 and len(model.pods(first)) == 2
            )
        # The candidate's own template: what was learnt of it is void, its weight stays.
        looked = model.until("evidence", lambda s: s["checks"] and s["checks"][0].get("trial"))
        assert looked["weight"] == "20"
        before = picture(model, first, second)
        template_edited(model, second)
        took["candidate's template"] = repaired(model, before, first, second)
        status = model.on_step(20)
        assert status == second
        assert model.weights() == {first: PARTS * 80 // 100, second: PARTS * 20 // 100}
    model.notes.append(f"repaired after: {shown(took)}")
    lost_nothing(traffic.report)
    assert max(took.values()) < REPAIRED_WITHIN, took
    assert model.status["candidate"] == second
    assert ("Repaired" in {reason for reason, _ in model.events()}) is True


@pytest.mark.together
@pytest.mark.parametrize("kind", ["HTTPRoute", "Service", "Deployment"])
def test_what_is_deleted_comes_back(model: Model, kind: str) -> None:
    """This cuts the way, so requests are lost until the repair; how many is told in the summary, and it ends."""
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        time.sleep(1)
        model.api.delete(kind, model.namespace, model.name if kind == "HTTPRoute" else f"{model.name}-{first}")
        time.sleep(0.2)
        model.until(f"the {kind} is back", lambda s: s["revisions"] and s["revisions"][0]["ready"] == 2)
        time.sleep(6)
    seconds = traffic.report.seconds
    assert sum(s.lost for s in seconds[-3:]) == 0, traffic.report.text()
    assert model.stable() == first
