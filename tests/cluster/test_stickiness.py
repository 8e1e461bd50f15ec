"""Users who keep cookies, on a real gateway: each stays with one revision, and as many as the weight says are with it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.cluster.api import Object
from tests.cluster.model import Model
from tests.cluster.users import Crowd

USERS, RATE = 2000, 200
STEPS = ((10, "20s"), (50, "20s"))
LONG = ((50, "10m"),)


def sticky(model: Model, steps: Any, *, by: Object | None, **environment: Any) -> Object:
    traffic: Object = {"hostnames": [model.host], "drain": "3s", "preview": {"header": "x-preview"}}
    if by is not None:
        traffic["stickiness"] = by
    return {**model.spec(steps=steps, **environment), "traffic": traffic}


def about(count: int, percent: int) -> bool:
    """Within four standard deviations of the binomial distribution."""
    share = percent / 100
    return abs(count - USERS * share) <= 4 * math.sqrt(USERS * share * (1 - share))


@pytest.mark.together
def test_each_user_stays_with_one_revision(model: Model) -> None:
    """10 %, 50 %, acceptance; then another candidate, which is sent back."""
    cookie: Object = {"cookie": {"name": "who"}}
    model.apply(sticky(model, STEPS, by=cookie, GENERATION=1))
    first = model.stable()
    rules = len(model.route()["spec"]["rules"])
    with Crowd(model, USERS, RATE) as crowd:
        model.apply(sticky(model, STEPS, by=cookie, GENERATION=2))
        second = ""
        for percent in (10, 50):
            second = model.on_step(percent, 60)
            crowd.come_by()
            assert model.status["weight"] == str(percent), "everybody came by within the step"
            there = crowd.with_revision(second)
            model.notes.append(f"{there} of {USERS} users with the candidate at {percent} %")
            assert about(there, percent), model.notes
            assert set(crowd.moves) <= {(first, second)}, f"somebody went back: {crowd.moves}"
            for revision in (first, second):
                user = next(user for user in crowd.users if user.met == revision)
                assert crowd.previewed(user) == second, "the preview is for everybody"
            assert len(model.route()["spec"]["rules"]) == rules
        assert model.stable(60, other_than=first) == second
        crowd.come_by()
        assert crowd.with_revision(second) == USERS
        assert set(crowd.moves) == {(first, second)}
        assert crowd.moves[first, second] <= USERS, "nobody went twice"
        model.apply(sticky(model, LONG, by=cookie, GENERATION=3))
        third = model.on_step(50, 60)
        crowd.come_by()
        there = crowd.with_revision(third)
        assert about(there, 50)
        assert (third, second) not in crowd.moves
        counted = model.status["checks"][0]["step"]["candidate"]["total"]
        model.ask("abort")
        model.sent_back()
        crowd.come_by()
        assert crowd.with_revision(second) == USERS
        model.notes.append(f"{there} users went back with the candidate; {dict(crowd.answered)} answered")
    assert not crowd.lost, crowd.lost
    assert counted > USERS * 0.3, f"requests by the rules for users are evidence: {counted}"
    model.notes.append(f"{crowd.answered.total()} requests of users, {crowd.lost.total()} lost")


@pytest.mark.together
def test_users_meet_both_until_somebody_asks_for_stickiness(model: Model) -> None:
    """The control: the same cookie jars without it. Then it is switched on and off in mid-trial, and nothing is lost."""
    model.apply(sticky(model, LONG, by=None, GENERATION=1))
    first = model.stable()
    cookie: Object = {"cookie": {}}
    with Crowd(model, 300, 60) as crowd:
        model.apply(sticky(model, LONG, by=None, GENERATION=2))
        second = model.on_step(50, 60)
        crowd.come_by()
        without = back(crowd, first, second)
        assert without > 30
        model.apply(sticky(model, LONG, by=cookie, GENERATION=2))
        model.until("users are drawn", lambda _: kept(model) == 5)
        crowd.come_by()
        with_it = back(crowd, first, second)
        assert with_it == 0
        model.apply(sticky(model, LONG, by=None, GENERATION=2))
        model.until("the rules for users are gone", lambda _: kept(model) is None)
        assert back(crowd, first, second) > 30
        model.ask("abort")
        model.sent_back()
    model.notes.append(f"users who went back in a round: {without} without stickiness, {with_it} with it")
    assert not crowd.lost, crowd.lost


def back(crowd: Crowd, first: str, second: str) -> int:
    """How often somebody went from the candidate to stable while everybody came by."""
    before = crowd.moves[second, first]
    crowd.come_by()
    return crowd.moves[second, first] - before


def kept(model: Model) -> int | None:
    """Rules for users once they are drawn; 0 before, None where the route has none."""
    rules = [rule for rule in model.route()["spec"]["rules"][1:] if len(rule["backendRefs"]) == 2]
    if not rules:
        return None
    return len(rules) if "nobody" not in rules[0]["matches"][0]["headers"][0]["value"] else 0
