"""What each model server is given, and that the rules of admission agree with it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from seatrial.api import rules
from seatrial.api.spec import Runtime
from seatrial.build.deployment import render
from seatrial.build.runtimes import RUNTIMES
from tests.sim.world import base_spec


def server(runtime: Runtime, model: str | None) -> dict[str, Any]:
    spec = copy.deepcopy(base_spec())
    spec.pop("port", None)
    spec.pop("model", None)
    spec["runtime"] = runtime.value
    if model is not None:
        spec["model"] = {"name": model}
    found: dict[str, Any] = render("fraud", "models", "0123456789", spec)["spec"]["template"]["spec"]["containers"][0]
    return found


def test_the_rules_name_the_runtimes_that_the_table_does() -> None:
    """Each runtime has a line; those that admission asks a model's name of, or a preflight, are the ones that need it."""
    assert set(RUNTIMES) == set(Runtime)
    named = {runtime for runtime, known in RUNTIMES.items() if "{model}" in (known.ready_path or "")}
    assert named == {Runtime(name) for name in rules.KNOWS_MODEL}
    assert {r for r, known in RUNTIMES.items() if known.open_inference} == set(map(Runtime, rules.OPEN_INFERENCE))
    assert {r for r, known in RUNTIMES.items() if known.port is None} == {Runtime.CUSTOM}


@pytest.mark.parametrize("runtime", [runtime for runtime in Runtime if runtime is not Runtime.CUSTOM])
def test_a_runtime_is_asked_on_its_own_port_whether_it_is_ready(runtime: Runtime) -> None:
    known = RUNTIMES[runtime]
    made = server(runtime, "fraud" if runtime in rules.KNOWS_MODEL else None)
    assert {"containerPort": known.port, "protocol": "TCP"} in made["ports"]
    ready = made["readinessProbe"]["httpGet"]
    assert ready["port"] == known.port
    assert ready["path"] == str(known.ready_path).replace("{model}", "fraud")
    assert made["startupProbe"]["failureThreshold"] == known.start_seconds


@pytest.mark.parametrize("runtime", [Runtime.VLLM, Runtime.TGI, Runtime.DYNAMO])
def test_a_language_model_has_time_to_load(runtime: Runtime) -> None:
    assert server(runtime, None)["startupProbe"]["failureThreshold"] == 45 * 60
