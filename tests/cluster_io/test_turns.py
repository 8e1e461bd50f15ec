"""How many trials run at the same time, and who is next."""

from __future__ import annotations

from typing import Any

from seatrial.cluster.turns import Turns
from seatrial.core.state import Installation

A, B, C, ELSEWHERE = ("models", "a"), ("models", "b"), ("models", "c"), ("other", "a")


def resource(*, running: bool = False, queued: int | None = None, stable: bool = True) -> dict[str, Any]:
    """A resource, on trial or waiting since some second."""
    status: dict[str, Any] = {"stable": "0123456789"} if stable else {}
    if running:
        status["rollout"] = {"revision": "9876543210"}
    if queued is not None:
        status["queuedSince"] = f"2026-03-02T09:00:{queued:02d}Z"
    return {"status": status}


def test_without_a_limit_nobody_waits() -> None:
    turns = Turns(Installation())
    turns.put(A, resource(running=True))
    assert turns.wait(B) == ""


def test_a_place_in_the_queue_is_taken_first() -> None:
    """Even where there is room: two that come at the same time must not both see it."""
    turns = Turns(Installation(trials=1))
    turns.put(A, resource())
    assert turns.wait(A) == "0 of 1 trials run in the cluster"
    turns.put(A, resource(queued=1))
    assert turns.wait(A) == ""


def test_first_come_first_served() -> None:
    turns = Turns(Installation(trials=2))
    turns.put(A, resource(running=True))
    turns.put(C, resource(queued=1))
    turns.put(B, resource(queued=2))
    assert turns.wait(C) == ""
    assert turns.wait(B) == "1 of 2 trials run in the cluster, 1 came before: models/a, models/c"


def test_two_of_one_moment_are_told_apart_by_their_names() -> None:
    turns = Turns(Installation(trials=1))
    turns.put(A, resource(queued=5))
    turns.put(B, resource(queued=5))
    assert [turns.wait(A) == "", turns.wait(B) == ""] == [True, False]


def test_a_namespace_has_a_limit_of_its_own() -> None:
    turns = Turns(Installation(trials_in_namespace=1))
    turns.put(A, resource(running=True))
    turns.put(B, resource(queued=1))
    turns.put(ELSEWHERE, resource(queued=2))
    assert "namespace models" in turns.wait(B)
    assert turns.wait(ELSEWHERE) == ""


def test_the_end_of_a_trial_wakes_who_waits() -> None:
    turns = Turns(Installation(trials=1))
    turns.put(A, resource(running=True))
    assert turns.put(B, resource(queued=1)) == set()
    assert turns.put(A, resource()) == {B}
    turns.put(A, resource(running=True))
    assert turns.drop(A) == {B}


def test_a_first_deployment_is_no_trial() -> None:
    turns = Turns(Installation(trials=1))
    turns.put(A, resource(running=True, stable=False))
    turns.put(B, resource(queued=1))
    assert turns.wait(B) == ""
