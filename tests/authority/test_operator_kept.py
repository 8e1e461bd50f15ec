"""The operator may patch a ModelDeployment for the sake of one finalizer; the API server lets it do nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.build.names import FINALIZER
from tests.authority.conftest import Person, Place, refusal

pytestmark = [pytest.mark.contract, pytest.mark.timeout(600)]

ACCOUNT = "system:serviceaccount:seatrial-system:seatrial"
ONLY = "the operator may set its finalizer seatrial.dev/route on a ModelDeployment, and nothing else"


@pytest.fixture(scope="module")
def account(place: Place, people: dict[str, Person]) -> Person:
    """The operator's own account, with the rights that the chart gives it."""
    assert people["ann"].create("kept", annotations={}).status == 201
    return place.person(ACCOUNT)


def test_it_sets_its_finalizer_and_takes_it_off(account: Person) -> None:
    for finalizers in ([FINALIZER], []):
        answer = account.patch("kept", {"metadata": {"finalizers": finalizers}})
        assert answer.status == 200, answer.body
        assert answer.body["metadata"].get("finalizers", []) == finalizers


@pytest.mark.parametrize(
    "body",
    [
        {"spec": {"replicas": 7}},
        {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}},
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"metadata": {"finalizers": ["example.com/other"]}},
        {"metadata": {"finalizers": [FINALIZER]}, "spec": {"suspend": True}},
    ],
    ids=["size", "template", "labels", "annotations", "another finalizer", "spec beside it"],
)
def test_it_writes_nothing_else(account: Person, body: dict[str, Any]) -> None:
    assert refusal(account.patch("kept", body)) == ONLY
