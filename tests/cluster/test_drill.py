"""A drill on a real gateway, under traffic: what it reports is what the client saw."""

from __future__ import annotations

import re
import urllib.request

import pytest

from seatrial.build.drill import drill_revision
from tests.cluster.api import Object
from tests.cluster.installed import NAMESPACE
from tests.cluster.model import PARTS, Model, lost_nothing

DRILL = "seatrial_drill_"


def metrics(model: Model) -> dict[str, float]:
    """The operator's own numbers of the model's drills, from every replica."""
    found: dict[str, float] = {}
    for pod in model.api.list("Pod", NAMESPACE, "app.kubernetes.io/name=seatrial"):
        if address := pod["status"].get("podIP"):
            with urllib.request.urlopen(f"http://{address}:8080/metrics", timeout=5) as answer:
                text = answer.read().decode()
            line = rf'^{DRILL}(\w+)\{{name="{model.name}",namespace="{model.namespace}"\}} (\S+)$'
            found |= {name: float(value) for name, value in re.findall(line, text, re.MULTILINE)}
    return found


def seconds(length: str) -> float:
    """`2s105ms` in seconds."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|s|m)", length))


@pytest.mark.together
def test_a_drill_goes_back_and_loses_nothing(model: Model) -> None:
    """A copy answers, is failed on purpose and goes; nobody notices, and the report agrees with the client."""
    model.apply(model.spec(GENERATION=1))
    stable = model.stable()
    copied, history = drill_revision(stable), model.status["history"]
    with model.traffic(rate=100) as traffic:
        model.ask("drill", "quarterly proof")
        model.until("the copy's step", lambda s: s.get("rollout", {}).get("confirmedAt"))
        assert model.weights() == {stable: PARTS * 95 // 100, copied: PARTS * 5 // 100}
        assert model.status["phase"] == "Drill"
        for kind, wanted in (("Ready", "True"), ("Stalled", "False"), ("Available", "True"), ("Reconciling", "False")):
            assert model.condition(kind)["status"] == wanted, kind
        status = model.until("its end", lambda s: (s.get("drill") or {}).get("last"), 90)
        last: Object = status["drill"]["last"]
        model.until("its objects are gone", lambda _: gone(model, copied))
    lost_nothing(traffic.report)
    seen = traffic.report.revisions
    assert set(seen) == {stable, copied}
    assert (last["result"], last.get("lost"), last["by"]) == ("Passed", 0, model.api.whoami()), last
    assert last["requests"] == seen[copied], "counted to the last request"
    told = metrics(model)
    assert told["lost_requests"] == 0
    assert told["back_seconds"] == pytest.approx(seconds(last["minimumAfter"]))
    assert told["last_success_timestamp_seconds"] > 0
    assert (model.status["stable"], model.status["history"]) == (stable, history)
    assert "DrillPassed" in [reason for reason, _ in model.events()]
    model.notes.append(
        f"drill: {seen[copied]} of {traffic.report.sent} requests to the copy, at the minimum after "
        f"{last['minimumAfter']}, without traffic after {last['zeroAfter']}"
    )


def gone(model: Model, copied: str) -> bool:
    name = f"{model.name}-{copied}"
    return not any(model.api.find(kind, model.namespace, name) for kind in ("Deployment", "Service"))
