"""One rule of somebody else's route: what is written, and that nothing else is."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from seatrial.build.rule import (
    Splice,
    find,
    is_taken,
    names,
    original,
    patch,
    restored,
    sorted_out,
    spliced,
    stands,
)

Manifest = dict[str, Any]
MODEL, CHILD, OTHER = "fraud", "fraud-e04d5521aa", "fraud-7c9f1b20de"
HEADER = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-team", "value": "risk"}]}}
THEIR_MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit", "port": 80}}}


def ref(name: str, weight: int = 1) -> Manifest:
    return {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight}


def mirror(name: str) -> Manifest:
    return {"type": "RequestMirror", "requestMirror": {"backendRef": ref(name), "percent": 20}}


def route(*filters: Manifest, backends: list[Manifest] | None = None) -> Manifest:
    mine: Manifest = {"name": "score", "matches": [{"path": {"type": "PathPrefix", "value": "/score"}}]}
    mine["backendRefs"] = [ref("legacy")] if backends is None else backends
    if filters:
        mine["filters"] = list(filters)
    rules = [{"name": "api", "backendRefs": [ref("api")]}, mine, {"backendRefs": [ref("static")]}]
    return {"metadata": {"name": "web", "resourceVersion": "7"}, "spec": {"hostnames": ["a.example"], "rules": rules}}


def wanted(*copies: str) -> Splice:
    backends = (ref(CHILD, 999_999), ref(OTHER, 1))
    return Splice("web", "score", backends, tuple(mirror(name) for name in copies))


def test_a_patch_tests_version_and_name_and_names_nothing_but_the_rule() -> None:
    operations = patch(MODEL, route(), wanted())
    assert [(op["op"], op["path"]) for op in operations] == [
        ("test", "/metadata/resourceVersion"),
        ("test", "/spec/rules/1/name"),
        ("add", "/spec/rules/1/backendRefs"),
    ]


def test_what_is_so_already_is_not_written() -> None:
    live = spliced(MODEL, route(HEADER), wanted(CHILD))
    assert patch(MODEL, live, wanted(CHILD)) == []


@pytest.mark.parametrize("theirs", [(), (HEADER,), (THEIR_MIRROR, HEADER)])
def test_copies_come_after_the_owners_filters_and_go_without_a_trace(theirs: tuple[Manifest, ...]) -> None:
    born = route(*theirs)
    with_copies = spliced(MODEL, born, wanted(CHILD, "compare-e04d5521aa-fraud"))
    filters = with_copies["spec"]["rules"][1]["filters"]
    assert filters[: len(theirs)] == list(theirs)
    assert len(filters) == len(theirs) + 2
    assert sorted_out(MODEL, with_copies["spec"]["rules"][1])[0] == list(theirs)
    kept = original(born["spec"]["rules"][1])
    assert spliced(MODEL, with_copies, restored("web", "score", kept)) == born


def test_a_filter_that_the_owner_adds_in_the_meantime_stays() -> None:
    live = spliced(MODEL, route(), wanted(CHILD))
    live["spec"]["rules"][1]["filters"].append(HEADER)
    after = spliced(MODEL, live, wanted())
    assert after["spec"]["rules"][1]["filters"] == [HEADER]


def test_a_rule_without_backends_is_given_back_without_any() -> None:
    born = route()
    del born["spec"]["rules"][1]["backendRefs"]
    kept = original(born["spec"]["rules"][1])
    assert kept == ""
    assert spliced(MODEL, spliced(MODEL, born, wanted()), restored("web", "score", kept)) == born


def test_other_rules_are_untouched_wherever_ours_has_gone() -> None:
    live = spliced(MODEL, route(HEADER), wanted())
    live["spec"]["rules"].insert(0, live["spec"]["rules"].pop())
    before = copy.deepcopy(live["spec"]["rules"])
    after = spliced(MODEL, live, Splice("web", "score", (ref(CHILD, 1), ref(OTHER, 999_999))))
    index = find(after, "score")
    assert index == 2
    assert [r for i, r in enumerate(after["spec"]["rules"]) if i != index] == before[:2]


def test_what_is_ours_to_say_does_not_change_with_the_owners_filters() -> None:
    one, other = spliced(MODEL, route(), wanted(CHILD)), spliced(MODEL, route(HEADER), wanted(CHILD))
    assert stands(MODEL, one["spec"]["rules"][1]) == stands(MODEL, other["spec"]["rules"][1]) == wanted(CHILD).intent


def test_a_rule_is_taken_while_any_backend_is_a_revision() -> None:
    assert not is_taken(
        MODEL, {"backendRefs": [ref("legacy"), ref("fraud"), ref("fraud-v2"), ref("fraudster-0123456789")]}
    )
    assert is_taken(MODEL, {"backendRefs": [ref("legacy"), ref(CHILD, 0)]})
    assert not is_taken(MODEL, {})


def test_a_rule_that_is_not_there_is_no_patch() -> None:
    assert patch(MODEL, route(), Splice("web", "other", (ref(CHILD),))) == []
    assert names(route()) == ["api", "score"]


@pytest.mark.parametrize("kept", ["{", "{}", '["a"]', "7"])
def test_what_cannot_have_been_kept_is_not_written(kept: str) -> None:
    with pytest.raises(ValueError, match="no list of backends"):
        restored("web", "score", kept)
