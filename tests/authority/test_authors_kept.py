"""Who made a revision, as the API server writes it down: it cannot be forged, and it cannot be washed off."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from seatrial.build.names import SPEC_BY
from tests.api.conftest import OBJECTS
from tests.authority.conftest import CHART, MERGE, Person, Place, authors, eventually, refusal

pytestmark = [pytest.mark.contract, pytest.mark.timeout(600)]

_numbers = itertools.count(1)


@pytest.fixture
def model(people: dict[str, Person]) -> str:
    """A model of this test's own, made by ann."""
    name = f"a{next(_numbers)}"
    assert authors(people["ann"].create(name)) == "ann"
    return name


REVISIONS: dict[str, dict[str, Any]] = {
    "template": {"template": {"metadata": {"labels": {"team": "x"}}}},
    "runtime": {"runtime": "Custom", "port": 9000},
    "port": {"port": 9000},
    "version": {"model": {"version": "2026-11-20"}},
}
TERMS: dict[str, dict[str, Any]] = {
    "steps": {"strategy": {"stages": [{"canary": {"steps": [{"weight": 99, "minDuration": "0s"}]}}]}},
    "checks": {"analysis": {"none": "trust me"}},
    "hosts": {"traffic": {"hostnames": ["other.example.com"]}},
    "owner": {"model": {"owner": "x"}},
    "deadline": {"progressDeadline": "1h"},
}


@pytest.mark.parametrize("change", REVISIONS)
def test_who_makes_another_revision_is_its_author(people: dict[str, Person], model: str, change: str) -> None:
    assert authors(people["bob"].spec(model, **REVISIONS[change])) == "bob"


@pytest.mark.parametrize("change", TERMS)
def test_who_changes_the_terms_joins_the_author(people: dict[str, Person], model: str, change: str) -> None:
    """Nobody loosens a trial and then approves it; nobody washes the author off with a change beside it."""
    assert authors(people["bob"].spec(model, **TERMS[change])) == "ann bob"
    assert authors(people["bob"].spec(model, suspend=True)) == "ann bob"
    assert authors(people["ann"].spec(model, progressDeadline="2h")) == "ann bob", "each once"


def test_a_field_that_is_taken_away_is_a_change(people: dict[str, Person]) -> None:
    preflight = {"requests": {"configMapRef": {"name": "golden"}}}
    assert authors(people["ann"].create("taken", preflight=preflight)) == "ann"
    assert authors(people["bob"].spec("taken", preflight=None)) == "ann bob"


def test_replicas_and_suspension_have_no_author(people: dict[str, Person], model: str) -> None:
    bob = people["bob"]
    assert authors(bob.spec(model, replicas=5, suspend=True)) == "ann"
    scaled = bob.server.request("PATCH", f"{OBJECTS}/{model}/scale", {"spec": {"replicas": 2}}, MERGE)
    assert scaled.status == 200
    assert authors(bob.patch(model, {"metadata": {"labels": {"a": "b"}}})) == "ann"


@pytest.mark.parametrize("said", ["bob", "ann bob", "", None])
def test_nobody_writes_it_but_the_api_server(people: dict[str, Person], model: str, said: str | None) -> None:
    """Whatever is sent, alone or with a change, what is true is stored."""
    forged = {"metadata": {"annotations": {SPEC_BY: said}}}
    assert authors(people["eve"].patch(model, forged)) == "ann"
    assert authors(people["eve"].patch(model, {**forged, "spec": {"progressDeadline": "1h"}})) == "ann eve"
    assert authors(people["eve"].patch(model, {**forged, "spec": {"port": 9}})) == "eve"
    put = people["ann"].server.request("GET", f"{OBJECTS}/{model}").body
    put["metadata"]["annotations"] = {SPEC_BY: "bob"}
    assert authors(people["ann"].server.request("PUT", f"{OBJECTS}/{model}", put)) == "eve"


def test_a_model_is_not_born_with_another_author(people: dict[str, Person]) -> None:
    assert authors(people["eve"].create("forged", annotations={SPEC_BY: "bob"})) == "eve"


def test_a_name_with_odd_letters_is_one_word(people: dict[str, Person], model: str) -> None:
    zoe = people["Zoe Miller 100%"]
    assert authors(zoe.spec(model, progressDeadline="1h")) == "ann Zoe%20Miller%20100%25"
    assert authors(zoe.spec(model, port=7000)) == "Zoe%20Miller%20100%25"


def test_applying_with_kubectl_keeps_it(place: Place, people: dict[str, Person], tmp_path: object) -> None:
    """Client-side and server-side, by somebody who never heard of the annotation."""
    ann, bob = people["ann"], people["bob"]
    assert authors(ann.create("applied")) == "ann"
    stored = ann.server.request("GET", f"{OBJECTS}/applied").body
    document = {key: stored[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "applied"}}
    path = f"{OBJECTS}/applied?fieldManager=test&force=true"
    for _ in range(2):
        assert authors(bob.server.request("PATCH", path, document, "application/apply-patch+yaml")) == "ann"


def test_where_nothing_writes_it_nothing_may_be_written(place: Place, people: dict[str, Person], model: str) -> None:
    """With `authority.authors` off the annotation can be taken away, and never set; unknown stays unknown after that."""
    ann, bob = people["ann"], people["bob"]
    forged = {"metadata": {"annotations": {SPEC_BY: "bob"}}}
    place.helm("upgrade", "seatrial", str(CHART), "-n", "seatrial-system", "--set", "authority.authors=false")
    try:
        eventually(lambda: ann.patch(model, forged).status == 403)
        assert refusal(ann.patch(model, forged)) == (
            "the annotation seatrial.dev/spec-by names who made the revision, and the API server alone writes it: ann "
            'may not set it to "bob", leave it out'
        )
        eventually(lambda: bob.spec(model, port=9000).status == 200)
        stored = bob.patch(model, {"metadata": {"labels": {"a": "b"}}})
        assert authors(stored) == "ann", "nothing keeps it up: the operator was told not to believe it"
        assert authors(bob.patch(model, {"metadata": {"annotations": {SPEC_BY: None}}})) == ""
    finally:
        place.helm("upgrade", "seatrial", str(CHART), "-n", "seatrial-system", "--set", "authority.authors=true")
    eventually(lambda: _kept(ann))
    assert authors(ann.spec(model, progressDeadline="1h")) == "", "unknown stays unknown"
    assert authors(ann.spec(model, port=9001)) == "ann"


def test_a_write_that_bypasses_the_author_is_refused(place: Place, people: dict[str, Person], model: str) -> None:
    """The policy that writes is gone, by a hand: nobody's change passes without its author."""
    place.kubectl("delete", "mutatingadmissionpolicybinding", "authors.seatrial.seatrial-system")
    try:
        in_turn = itertools.cycle((people["bob"], people["ann"]))
        eventually(lambda: next(in_turn).spec(model, port=next(_numbers) + 9000).status == 403)
        assert people["bob"].spec(model, replicas=4).status == 200
    finally:
        place.helm("upgrade", "seatrial", str(CHART), "-n", "seatrial-system")
    eventually(lambda: _kept(people["ann"]))


def _kept(person: Person) -> bool:
    made = person.create(f"again{next(_numbers)}")
    return made.status == 201 and authors(made) == person.word
