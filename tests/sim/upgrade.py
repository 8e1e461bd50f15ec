"""The next version of the operator: every builder puts out something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

from seatrial.build import deployment
from seatrial.core import assemble
from seatrial.core.routers import gateway_api, replica_ratio
from seatrial.core.state import Manifest

BUILDERS = (
    (assemble, "record"),
    (assemble, "revision_service"),
    (assemble, "model_service"),
    (gateway_api, "http_route"),
    (replica_ratio, "model_service"),
)
Version = Callable[[], AbstractContextManager[None]]


def _render(*args: Any, **options: Any) -> Manifest:
    made = deployment.render(*args, **options)
    made["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": 1}}
    made["spec"]["progressDeadlineSeconds"] = 1
    made["metadata"]["annotations"]["seatrial.dev/new"] = "yes"
    return made


def _changed(original: Callable[..., Manifest]) -> Callable[..., Manifest]:
    def build(*args: Any, **options: Any) -> Manifest:
        made = original(*args, **options)
        made["metadata"]["labels"] = {**made["metadata"]["labels"], "seatrial.dev/version": "next"}
        return made

    return build


@contextmanager
def upgraded() -> Iterator[None]:
    """The operator is of the next version."""
    new = [(module, name, _changed(getattr(module, name))) for module, name in BUILDERS]
    with ExitStack() as stack:
        for module, name, build in (*new, (assemble, "render", _render)):
            stack.enter_context(patch.object(module, name, build))
        yield


def older() -> AbstractContextManager[None]:
    """The operator is of this version."""
    return nullcontext()
