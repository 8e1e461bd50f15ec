"""A model behind the second of three rules of a team's own route: who else uses the route notices nothing."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

import pytest

from dev.traffic import Report
from tests.cluster.api import Object
from tests.cluster.model import Model, template

RATE = 100
RULES = ("api", "score", "static")
APART = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-from", "value": "legacy"}]}}
"""A filter on a backend: Envoy then has a cluster for each backend, as it has for ours."""


def legacy(model: Model) -> None:
    """What the team ran behind its route before."""
    labels = {"app": "legacy"}
    pods = template()
    pods["metadata"]["labels"] = labels
    pods["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 5}}}
    where = {"name": "legacy", "namespace": model.namespace}
    model.api.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": where,
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": pods},
        }
    )
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": where, "spec": {"selector": labels, "ports": ports}}
    model.api.create(service)
    limit = time.monotonic() + 90
    while model.api.get("Deployment", model.namespace, "legacy").get("status", {}).get("readyReplicas") != 2:
        assert time.monotonic() < limit, "the team's own pods do not start"
        time.sleep(0.2)


def in_git(model: Model, *, apart: bool) -> Object:
    """The team's route; every rule takes its own prefix off."""

    def rule(name: str) -> Object:
        backend: dict[str, Any] = {"name": "legacy", "port": 80}
        if apart:
            backend["filters"] = [APART]
        rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
        return {
            "name": name,
            "matches": [{"path": {"type": "PathPrefix", "value": f"/{name}"}}],
            "filters": [{"type": "URLRewrite", "urlRewrite": rewrite}],
            "backendRefs": [backend],
        }

    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": model.namespace},
        "spec": {
            "hostnames": [model.host],
            "parentRefs": [{"name": "gateway", "namespace": "gateways"}],
            "rules": [rule(name) for name in RULES],
        },
    }


def backends(model: Model) -> list[str]:
    """Names of the backends of the second rule."""
    rules = model.api.get("HTTPRoute", model.namespace, "web")["spec"]["rules"]
    return [ref["name"] for ref in rules[1]["backendRefs"]]


def lost_in(report: Report, begun: list[tuple[float, str]]) -> dict[str, int]:
    """Requests lost by what was being done when they were due."""
    lost = {name: 0 for _, name in begun}
    for loss in report.losses:
        lost[[name for at, name in begun if at <= loss.at - loss.after][-1]] += 1
    return lost


@pytest.mark.together
@pytest.mark.parametrize("apart", [False, True], ids=["plain", "apart"])
def test_a_teams_route_from_its_adoption_to_its_return(model: Model, apart: bool) -> None:
    """The other two rules lose nothing, whatever happens to ours."""
    legacy(model)
    model.api.apply(in_git(model, apart=apart), "kustomize-controller")
    through = {"traffic": {"routeRef": {"name": "web", "rule": "score"}, "drain": "3s"}}
    begun: list[tuple[float, str]] = []

    def now(name: str) -> None:
        begun.append((time.time(), name))

    clients = {name: model.traffic(rate=RATE, under=f"/{name}") for name in RULES}
    time.sleep(3)
    with ExitStack() as stack:
        now("before")
        for client in clients.values():
            stack.enter_context(client)
        time.sleep(3)
        now("adoption")
        model.apply(model.spec(GENERATION=1, more=through))
        first = model.stable()
        assert set(backends(model)) == {f"m-{first}"}
        time.sleep(3)
        now("promotion")
        model.apply(model.spec(GENERATION=2, more=through))
        second = model.stable(75, other_than=first)
        time.sleep(1)
        now("abort")
        model.apply(model.spec(GENERATION=3, more=through))
        third = model.on_step(20)
        model.ask("abort", "a test")
        model.sent_back()
        model.until("the candidate is gone", lambda s: third not in [r["name"] for r in s["revisions"]])
        now("reset")
        began = time.monotonic()
        model.api.apply(in_git(model, apart=apart), "kustomize-controller")
        while set(backends(model)) != {f"m-{second}"}:
            assert time.monotonic() - began < 10, model.story()
            time.sleep(0.02)
        took = time.monotonic() - began
        time.sleep(4)
        now("deletion")
        model.api.delete("ModelDeployment", model.namespace, model.name)
        limit = time.monotonic() + 60
        while model.api.find("ModelDeployment", model.namespace, model.name) is not None:
            assert time.monotonic() < limit, model.story()
            time.sleep(0.1)
        time.sleep(5)
    assert backends(model) == ["legacy"]
    lost = lost_in(clients["score"].report, begun)
    told = ", ".join(f"{name} {count}" for name, count in lost.items())
    model.notes.append(f"{'apart' if apart else 'plain'}: lost of {RATE}/s: {told}; reset put back after {took:.2f} s")
    for name in ("api", "static"):
        assert clients[name].report.lost_total == 0, clients[name].report.text()
    assert (lost["before"], lost["promotion"], lost["abort"]) == (0, 0, 0), clients["score"].report.text()
