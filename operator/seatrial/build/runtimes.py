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
    """The model's own readiness; `{model}` is the model's name. The server alone being up is not enough."""
    start_seconds: int = 600
    """How long a start may take before the container is restarted."""
    open_inference: bool = False
    """Whether it speaks the Open Inference Protocol over HTTP."""


RUNTIMES: Mapping[Runtime, RuntimeDefaults] = {
    Runtime.MLSERVER: RuntimeDefaults(port=8080, ready_path="/v2/models/{model}/ready", open_inference=True),
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
