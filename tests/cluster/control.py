"""What has to lose requests once the precautions are off, whoever counts them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.cluster.api import Object
from tests.cluster.installed import Operator
from tests.cluster.model import Model

VOYAGES = 10
"""Tries: each loses about one request in a thousand; the first loss ends them."""
QUICK = 6
"""How many times the usual rate of quick requests: proxies hear of a pod that leaves so soon that at fifty a second twenty
in a row were seen to lose none."""


def all_lost(lost: Mapping[str, int]) -> bool:
    """Whether quick requests, slow ones and streams were lost, each.

    Quick ones on kept and on new connections together: behind the proxy they share its connections, and few are lost.
    """
    quick = lost.get("kept", 0) + lost.get("new", 0)
    return all((quick, lost.get("slow"), lost.get("stream")))


@contextmanager
def without_precautions(operator: Operator) -> Iterator[None]:
    """No sleep before a pod's end, and weights that go between 0 and n in one step."""
    with operator.environment(SEATRIAL_UNSAFE_TRAFFIC="yes", SEATRIAL_DWELL="300ms"):
        yield


def careless(model: Model, generation: int) -> Object:
    """A spec that nothing judges, without a drain and with a second for a pod to leave."""
    unjudged = {"analysis": {"interval": "5s", "none": "a control run"}}
    spec = model.spec(steps=[(50, "0s")], drain="1s", more=unjudged, GENERATION=generation)
    spec["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    return spec


def leave(model: Model, revision: str, enough: Callable[[], bool]) -> None:
    """Pods leave until enough is lost."""
    for _ in range(VOYAGES):
        model.replace_pods(revision)
        if enough():
            return


def jump(model: Model, revision: str, enough: Callable[[], bool]) -> None:
    """Weights jump, voyage by voyage, until enough is lost."""
    for voyage in range(1, VOYAGES + 1):
        model.apply(careless(model, voyage))
        revision = model.stable(60, other_than=revision)
        if enough():
            return
