"""What a model server needs: its port, when it is ready, and how long it may take to start.

Adding a runtime is one line here, one word in `api.spec.Runtime` and one preset of metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from seatrial.api.spec import Runtime


@dataclass(frozen=True, slots=True)
class RuntimeDefaults:
    """Defaults of one model server."""

    port: int | None
    """The port that answers inference requests."""
    ready_path: str | None
    """The model's own readiness where the server has one; `{model}` is the model's name. The server alone being up is not
    enough."""
    start_seconds: int = 600
    """How long a start may take before the container is restarted."""
    open_inference: bool = False
    """Whether it speaks the Open Inference Protocol over HTTP."""


_V2 = "/v2/models/{model}/ready"
_LONG = 2700
"""Seconds to load a large language model from a cold disk."""
RUNTIMES: Mapping[Runtime, RuntimeDefaults] = {
    Runtime.MLSERVER: RuntimeDefaults(port=8080, ready_path=_V2, open_inference=True),
    Runtime.KSERVE: RuntimeDefaults(port=8080, ready_path=_V2, open_inference=True),
    Runtime.TRITON: RuntimeDefaults(port=8000, ready_path=_V2, open_inference=True),
    Runtime.VLLM: RuntimeDefaults(port=8000, ready_path="/health", start_seconds=_LONG),
    # It opens its port when the models of its first configuration are available, not before.
    Runtime.TFSERVING: RuntimeDefaults(port=8501, ready_path="/v1/models/{model}"),
    Runtime.TORCHSERVE: RuntimeDefaults(port=8080, ready_path="/ping"),
    Runtime.BENTOML: RuntimeDefaults(port=3000, ready_path="/readyz"),
    # It has no port for REST of its own; this is the one of its documentation (`--rest_port 8000`).
    Runtime.OPENVINO: RuntimeDefaults(port=8000, ready_path=_V2, open_inference=True),
    Runtime.TGI: RuntimeDefaults(port=80, ready_path="/health", start_seconds=_LONG),
    Runtime.RAY_SERVE: RuntimeDefaults(port=8000, ready_path="/-/healthz"),
    Runtime.DYNAMO: RuntimeDefaults(port=8000, ready_path="/health", start_seconds=_LONG),
    Runtime.CUSTOM: RuntimeDefaults(port=None, ready_path=None),
}


def runtime_of(spec: Mapping[str, Any]) -> Runtime:
    """The runtime of a stored spec."""
    return Runtime(spec.get("runtime", Runtime.CUSTOM))


def port_of(spec: Mapping[str, Any]) -> int:
    """The serving port of a stored spec.

    Raises ValueError where neither the spec nor the runtime names one; admission refuses that.
    """
    port = spec.get("port") or RUNTIMES[runtime_of(spec)].port
    if port is None:
        raise ValueError("spec.port is not set and the runtime Custom has no port of its own: set spec.port")
    return int(port)
