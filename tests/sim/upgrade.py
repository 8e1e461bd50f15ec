"""The next version of the operator: every builder puts out something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

from seatrial.build import deployment
from seatrial.core import assemble
from seatrial.core.state import Manifest

BUILDERS = ("record", "http_route", "revision_service", "model_service")
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
    new = {name: _changed(getattr(assemble, name)) for name in BUILDERS}
    with ExitStack() as stack:
        for name, build in {**new, "render": _render}.items():
            stack.enter_context(patch.object(assemble, name, build))
        yield


def older() -> AbstractContextManager[None]:
    """The operator is of this version."""
    return nullcontext()
