"""What a router reads in the cluster, and what a weight means to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.ratio import share_of
from seatrial.api.spec import RouterKind
from seatrial.api.status import PARTS, Slots, Split, TrafficStatus
from seatrial.build.names import MODEL_LABEL, REVISION_LABEL
from seatrial.core import sticky
from seatrial.core.legs import Kind, Leg
from seatrial.core.routers import ROUTERS, Sight
from seatrial.core.routers.replica_ratio import ReplicaRatio, ready_endpoints, shares
from seatrial.core.state import Manifest, Ref, Route
from seatrial.core.traffic import as_written

A, B, C = "aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc"
RATIO = ReplicaRatio()


def step(weight: int, scale: str = "ByWeight") -> Leg:
    return Leg(Kind.CANARY, timedelta(0), timedelta(0), weight=weight, scale=scale)


def slices(**pods: int) -> list[Manifest]:
    """One EndpointSlice with so many ready pods of each revision."""
    names = [f"m-{revision}-5d4f-{index}" for revision, count in pods.items() for index in range(count)]
    return [{"endpoints": [{"targetRef": {"name": name}, "conditions": {"ready": True}} for name in names]}]


def seen(selector: dict[str, str] | None, endpoints: list[Manifest], slots: Slots) -> Route | None:
    service = {"spec": {"selector": selector}}
    objects: dict[Ref, Any] = {} if selector is None else {Ref("Service", "m"): service}
    return RATIO.read(Sight("m", objects, slots, endpoints))


ONE = {MODEL_LABEL: "m", REVISION_LABEL: A}
ALL = {MODEL_LABEL: "m"}
BOTH = Slots(a=A, b=B)


def test_every_kind_has_its_router() -> None:
    assert set(ROUTERS) == set(RouterKind)


@pytest.mark.parametrize(
    ("replicas", "weight", "scale", "pods"),
    [
        (9, 5, "ByWeight", 1),
        (9, 25, "ByWeight", 3),
        (9, 50, "ByWeight", 9),
        (20, 5, "ByWeight", 1),
        (21, 10, "ByWeight", 2),
        (2, 5, "ByWeight", 1),
        (9, 5, "3", 3),
        (9, 50, "3", 9),
        (4, 5, "400", 4),
    ],
)
def test_pods_of_a_step(replicas: int, weight: int, scale: str, pods: int) -> None:
    assert RATIO.pods(step(weight, scale), replicas) == pods


@given(st.integers(1, 1000), st.integers(1, 50))
def test_a_step_never_exposes_more_than_it_asks_but_for_one_pod(replicas: int, weight: int) -> None:
    pods = RATIO.pods(step(weight), replicas)
    exposed = RATIO.weight(step(weight), replicas)
    assert 1 <= pods <= replicas
    assert pods == 1 or exposed <= weight * PARTS // 100
    assert RATIO.pods_at(exposed, replicas) == pods, "a weight stands for the pods that it came from"


@given(st.dictionaries(st.sampled_from([A, B, C]), st.integers(1, 1000), min_size=1))
def test_shares_are_whole(pods: dict[str, int]) -> None:
    assert sum(shares(pods).values()) == PARTS


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_what_is_written_is_what_is_read(stable: int, candidate: int) -> None:
    """A weight that is in force is recognised whatever the numbers: it is rounded in one way only."""
    candidate = min(stable, candidate)
    assert shares({A: stable, B: candidate})[B] == share_of(candidate, stable, PARTS)


def test_a_service_of_one_revision_is_confirmed_once_the_others_endpoints_have_gone() -> None:
    late = seen(ONE, slices(**{A: 4, B: 1}), BOTH)
    assert late is not None
    assert not late.accepted
    assert late.problem == f"Service m still has the endpoints of other pods: 1 of {B}"
    now = seen(ONE, slices(**{A: 4}), BOTH)
    assert now is not None
    assert now.accepted
    assert [backend.weight for backend in now.backends] == [PARTS, 0]
    assert not now.open


def test_an_open_service_shows_the_pods_that_are_ready() -> None:
    found = seen(ALL, slices(**{A: 4, B: 1}), BOTH)
    assert found is not None
    assert found.open
    assert [(b.service, b.weight) for b in found.backends] == [(f"m-{A}", 800_000), (f"m-{B}", 200_000)]
    more = seen(ALL, slices(**{A: 4, B: 2}), BOTH)
    assert more is not None
    assert more.generation != found.generation, "the dwell begins anew with every pod"


def test_a_third_revision_behind_an_open_service_is_no_pair_of_backends() -> None:
    found = seen(ALL, slices(**{A: 4, B: 1, C: 1}), BOTH)
    assert found is not None
    assert len(found.backends) == 3


def test_slots_that_are_lost_are_found_again() -> None:
    """A status that was wiped: the Service says who serves."""
    alone = seen(ONE, slices(**{A: 4}), Slots())
    assert alone is not None
    assert [(b.service, b.weight) for b in alone.backends] == [(f"m-{A}", PARTS), (f"m-{A}", 0)]
    both = seen(ALL, slices(**{A: 3, B: 1}), Slots())
    assert both is not None
    assert [b.weight for b in both.backends] == [750_000, 250_000]


@pytest.mark.parametrize("selector", [{}, {"app": "x"}, {**ONE, "app": "x"}])
def test_a_selector_of_somebody_elses_is_not_believed(selector: dict[str, str]) -> None:
    found = seen(selector, slices(**{A: 4}), BOTH)
    assert found is not None
    assert (found.accepted, found.backends) == (False, ())


def test_without_a_service_there_is_nothing() -> None:
    assert seen(None, [], BOTH) is None


def test_an_open_service_is_never_taken_for_one_of_a_single_revision() -> None:
    """The status of the write that opened it was lost, and the candidate's endpoints are not there yet."""
    found = seen(ALL, slices(**{A: 4}), Slots(a=A))
    alone = TrafficStatus(slots=Slots(a=A), wanted=Split(a=PARTS), confirmed=Split(a=PARTS))
    rules = sticky.rules(alone, direct=True)
    assert not as_written("m", alone, found, rules)
    assert as_written("m", alone, seen(ONE, slices(**{A: 4}), Slots(a=A)), rules)


def test_pods_that_are_leaving_get_no_new_connection() -> None:
    leaving = {"targetRef": {"name": "x"}, "conditions": {"ready": False, "serving": True, "terminating": True}}
    assert ready_endpoints([{"endpoints": [leaving, {"targetRef": {"name": "y"}}]}, {"endpoints": None}]) == {"y"}
