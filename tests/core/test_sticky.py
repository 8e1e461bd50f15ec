"""Users who stay with one revision: through every step, in the right number, and back only when the candidate goes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.status import PARTS, Phase, Rollout, Slots, Split, Sticky, TrafficStatus
from seatrial.build.names import child_name
from seatrial.core.commands import Action
from seatrial.core.state import Backend, Ref, Route
from seatrial.core.sticky import GROUPS, follow, rules
from seatrial.core.traffic import parts, read
from tests.core.test_stories import check_story, ends, served
from tests.sim.invariants import Invariants
from tests.sim.users import Users, chosen
from tests.sim.world import NAME, Behaviour, Moment, PassEnds, World, base_spec

OLD, NEW = "aaaaaaaaaa", "bbbbbbbbbb"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TRIAL = Rollout(revision=NEW, started=NOW, exposed=True)
COOKIE: dict[str, Any] = {"cookie": {}}
HEADER: dict[str, Any] = {"header": {}}
CROWD = 600


def at(weight: int, sticky: Sticky | None) -> TrafficStatus:
    """The candidate at so many parts."""
    split = Split(a=PARTS - weight, b=weight)
    return TrafficStatus(slots=Slots(a=OLD, b=NEW), wanted=split, confirmed=split, sticky=sticky)


def drawn(*steps: int) -> Sticky:
    """After these steps, one after another."""
    sticky: Sticky | None = Sticky()
    for step in steps:
        sticky = follow(at(parts(step), sticky), TRIAL, asked=True, settled=True)
    assert sticky is not None
    return sticky


# --- the arithmetic -----------------------------------------------------------------------------------


@given(steps=st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True).map(sorted))
def test_the_share_of_users_is_the_weight(steps: list[int]) -> None:
    """Somebody who comes in every step, and somebody who stayed away from some: the chance is the weight, to a part."""
    for last in range(1, len(steps) + 1):
        sticky = drawn(*steps[:last])
        shares = {
            mark: rule.slots[1].weight / PARTS
            for rule in rules(at(parts(steps[last - 1]), sticky))
            for mark in rule.marks
        }
        for first in steps[: last - 1]:
            chance = first / 100 + (1 - first / 100) * shares[f"{sticky.trial}-stable-{first}"]
            assert math.isclose(chance, steps[last - 1] / 100, abs_tol=3 / PARTS)


def test_who_was_away_for_many_steps_goes_over_less_often_and_never_more() -> None:
    steps = [1, 2, 5, 10, 25, 50]
    sticky = drawn(*steps)
    shares = {mark: rule.slots[1].weight for rule in rules(at(parts(50), sticky)) for mark in rule.marks}
    early = [shares[f"{sticky.trial}-stable-{step}"] for step in (1, 2, 5)]
    assert len(set(early)) == 1
    assert early[0] <= (50 - 1) * PARTS // (100 - 1)


def test_rules_are_always_the_same_number_and_no_backend_of_them_is_0_in_a_trial() -> None:
    for steps in ([], [5], [5, 25], [1, 2, 5, 10, 25, 50, 75, 99]):
        weight = parts(steps[-1]) if steps else 1
        told = rules(at(weight, drawn(*steps)))
        assert len(told) == 1 + GROUPS
        assert min(slot.weight for rule in told for slot in rule.slots) == 1
        for rule in told:
            assert [slot.revision for slot in rule.slots] == [OLD, NEW]
            assert sum(slot.weight for slot in rule.slots) == PARTS


@pytest.mark.parametrize("weight", [0, 1, PARTS - 1, PARTS])
def test_a_backend_enters_and_leaves_all_rules_in_the_same_steps(weight: int) -> None:
    first, *others = rules(at(weight, drawn(5, 25)))
    assert all(other.slots == first.slots for other in others)
    assert {slot.mark for slot in first.slots} == {None}, "nobody is drawn"


def test_on_the_way_back_the_candidates_users_leave_in_proportion() -> None:
    """Stable can carry three quarters only: a quarter of all requests stays, which is half of the users at 50 %."""
    told = rules(at(parts(25), drawn(10, 50)))
    assert told[1].slots[1].weight == PARTS // 2
    assert all(rule.slots[1].weight == 1 for rule in told[2:] if not rule.marks[0].startswith("nobody"))
    assert {slot.mark for slot in told[0].slots} == {None}


def test_a_lower_weight_draws_everybody_anew() -> None:
    before = drawn(5, 25)
    after = follow(at(parts(10), before), TRIAL, asked=True, settled=True)
    assert after is not None
    assert after.drawn == [10]
    assert after.trial != before.trial


def test_rules_come_and_go_while_nobody_bears_a_mark() -> None:
    """Asked for in mid-trial: first the rules, then, once the proxies know them, draws; and the other way round."""
    added = follow(at(parts(25), None), TRIAL, asked=True, settled=True)
    assert added == Sticky()
    assert follow(at(parts(25), added), TRIAL, asked=True, settled=False) == Sticky()
    begun = follow(at(parts(25), added), TRIAL, asked=True, settled=True)
    assert begun is not None
    assert begun.drawn == [25]
    emptied = follow(at(parts(25), begun), TRIAL, asked=False, settled=True)
    assert emptied == Sticky()
    assert follow(at(parts(25), emptied), TRIAL, asked=False, settled=False) == Sticky()
    assert follow(at(parts(25), emptied), TRIAL, asked=False, settled=True) is None


@pytest.mark.parametrize("case", ["as written", "another weight", "one rule fewer"])
def test_what_is_confirmed_are_all_rules(case: str) -> None:
    """A route whose later rules are not those we wrote says nothing of the proxies."""
    traffic = at(parts(10), drawn(10))
    told = rules(traffic)
    live, *others = (tuple(Backend(f"m-{slot.revision}", slot.weight) for slot in rule.slots) for rule in told)
    if case == "another weight":
        others[0] = (replace(others[0][0], weight=7), others[0][1])
    if case == "one rule fewer":
        others.pop()
    route = Route(1, live, frozenset(), accepted=True, others=(*others, (Backend("m-preview", 1),)))
    reading = read("m", traffic, route, NOW, timedelta(0), told, edited=False)
    assert reading.settled == (case == "as written")


def test_at_rest_it_costs_no_write() -> None:
    world = crowd()
    world.run(30)
    writes = world.writes + world.status_writes
    world.run(600)
    assert world.writes + world.status_writes == writes
    assert [user for user in world.users.all if "seatrial" in user.cookies] == [], "and nobody gets a mark"


def test_a_trial_that_is_tried_again_knows_nobody() -> None:
    again = TRIAL.model_copy(update={"started": NOW.replace(hour=10)})
    first, second = drawn(5), follow(at(parts(5), Sticky()), again, asked=True, settled=True)
    assert second is not None
    assert first.trial != second.trial


# --- in the simulated world ---------------------------------------------------------------------------

STEPS = [{"weight": weight, "minDuration": "1m"} for weight in (10, 50)]
TOLD: dict[str, Any] = {}


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


def crowd(stickiness: dict[str, Any] | None = COOKIE, *, steps: Any = STEPS, **strategy: Any) -> World:
    """A model with users, whose first revision serves."""
    strategy.setdefault("probation", {"duration": "0s"})
    spec = base_spec(strategy={"stages": [{"canary": {"steps": steps}}], **strategy})
    spec["traffic"]["preview"] = {"header": "x-preview"}
    if stickiness is not None:
        spec["traffic"]["stickiness"] = stickiness
    world = served(spec=spec)
    world.proxy_lag = [0.1, 0.1, 0.1]
    world.users = Users(CROWD)
    world.watchers.append(Invariants())
    return world


def confirmed(world: World, percent: int) -> bool:
    """Wait until this weight is confirmed, and until everybody has come by."""

    def there(w: World) -> bool:
        rollout = w.status.rollout
        return w.status.weight == str(percent) and rollout is not None and rollout.confirmed_at is not None

    assert world.run(400, until=there), world.status.message
    return world.run(40)


def about(count: int, percent: int) -> bool:
    """Within four standard deviations of the binomial distribution."""
    share = percent / 100
    return abs(count - CROWD * share) <= 4 * math.sqrt(CROWD * share * (1 - share))


@story
def each_user_stays_with_one_revision() -> World:
    world = crowd()
    old, new = world.wanted, world.image("fraud:v2")
    for percent in (10, 50):
        confirmed(world, percent)
        assert about(world.users.with_revision(new), percent), world.users.with_revision(new)
        assert set(world.users.moves) <= {(old, new)}, "nobody goes back"
    ends(world, Phase.STABLE)
    world.run(40)
    assert world.users.with_revision(new) == CROWD
    assert world.users.moves == Counter({(old, new): world.users.moves[old, new]})
    assert world.users.moves[old, new] <= CROWD, "and nobody goes twice"
    world.tell(f"{CROWD} users: {world.users.moves[old, new]} went over once, nobody came back")
    return world


@story
def all_users_go_back_at_once() -> World:
    world = crowd(HEADER)
    old, new = world.wanted, world.image("fraud:v2")
    confirmed(world, 50)
    there = world.users.with_revision(new)
    assert about(there, 50)
    assert set(world.users.moves) == {(old, new)}
    world.command(Action.ABORT, new)
    ends(world, Phase.ROLLED_BACK)
    world.run(40)
    assert world.users.with_revision(old) == CROWD
    assert world.users.moves[new, old] >= there
    world.tell(f"{there} users met the candidate, and all of them are back")
    world.command(Action.RETRY, new)
    confirmed(world, 10)
    assert about(world.users.with_revision(new), 10), "marks of the first try mean nothing in the second"
    return world


@story
def a_bad_model_is_found_by_the_requests_of_its_users() -> World:
    """Most requests come by the rules for marks: they are counted like those of newcomers."""
    world = crowd()
    world.image("fraud:v2", Behaviour(errors=0.3))
    ends(world, Phase.ROLLED_BACK)
    assert "check errors failed" in world.status.message
    return world


@story
def the_holdbacks_users_stay_with_the_revision_before() -> World:
    world = crowd(probation={"duration": "5m", "holdback": 20})
    old, new = world.wanted, world.image("fraud:v2")
    assert world.run(500, until=lambda w: w.status.phase is Phase.PROBATION)
    world.run(60)
    assert about(world.users.with_revision(old), 20), world.users.with_revision(old)
    before = sum(world.users.moves.values())
    world.run(60)
    assert sum(world.users.moves.values()) == before, "everybody stays where he is"
    assert set(world.users.moves) == {(old, new)}
    ends(world, Phase.STABLE)
    return world


@story
def asked_for_in_mid_trial_and_taken_back() -> World:
    world = crowd(None, steps=[{"weight": 50, "minDuration": "10m"}])
    world.image("fraud:v2")
    confirmed(world, 50)
    assert sum(world.users.moves.values()) > CROWD, "without it every second request meets the other one"
    world.edit(lambda spec: spec["traffic"].update(stickiness=COOKIE))
    world.tell("kubectl: traffic.stickiness is set")
    world.run(40)
    before = sum(world.users.moves.values())
    world.run(40)
    assert sum(world.users.moves.values()) == before, "each stays where he was drawn"
    world.edit(lambda spec: spec["traffic"].pop("stickiness"))
    world.tell("kubectl: traffic.stickiness is taken out")
    world.run(40)
    assert sum(world.users.moves.values()) > before
    assert len(world.objects[Ref("HTTPRoute", NAME)]["spec"]["rules"]) == 2
    ends(world, Phase.STABLE)
    return world


@story
def a_hand_in_the_rules_for_users() -> World:
    """Weights of a later rule are put back as those of rule 0 are."""
    world = crowd()
    old, new = world.wanted, world.image("fraud:v2")
    confirmed(world, 10)
    world.watchers.clear()
    route = Ref("HTTPRoute", NAME)

    def swap(live: Any) -> None:
        refs = live["spec"]["rules"][1]["backendRefs"]
        refs[0]["weight"], refs[1]["weight"] = refs[1]["weight"], refs[0]["weight"]

    before = world.objects[route]["spec"]
    world.hand_edit(route, swap)
    world.run(3)
    assert world.objects[route]["spec"] == before
    assert {ref["name"] for ref in before["rules"][1]["backendRefs"]} == {child_name(NAME, r) for r in (old, new)}
    ends(world, Phase.STABLE)
    return world


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    """It tells what the file says; nobody loses a request."""
    world = TOLD[name]()
    assert not world.lost
    check_story(name, world)


def test_pods_that_are_gone_for_a_while_do_not_change_who_belongs_where() -> None:
    """While the candidate has no ready pod all users are stable's; then each is back where he was."""
    world = crowd(steps=[{"weight": 50, "minDuration": "10m"}])
    world.edit(lambda spec: spec.update(analysis={"none": "pods die in here"}))
    world.watchers.clear()
    new = world.image("fraud:v2")
    confirmed(world, 50)
    mine = {id(user) for user in world.users.all if user.met == new}
    world.kill_pods(new)
    world.run(30)
    confirmed(world, 50)
    assert {id(user) for user in world.users.all if user.met == new} == mine


@pytest.mark.parametrize("stickiness", [None, COOKIE, HEADER])
def test_the_preview_is_reached_by_everybody_in_mid_canary(stickiness: dict[str, Any] | None) -> None:
    """Who bears a mark, stable's as well as the candidate's, reaches the candidate by the preview header."""
    world = crowd(stickiness)
    new = world.image("fraud:v2")
    confirmed(world, 10)
    listed = world.objects[Ref("HTTPRoute", NAME)]["spec"]["rules"]
    for user in world.users.all:
        rule = chosen(listed, {**user.request(), "x-preview": "candidate"})
        assert rule == len(listed) - 1
        assert [ref["name"] for ref in listed[rule]["backendRefs"]] == [child_name(NAME, new)]


def test_the_preview_is_reached_in_a_shadow() -> None:
    world = crowd()
    shadow = {"shadow": {"percent": 20, "minDuration": "5m"}}
    world.edit(lambda spec: spec["strategy"]["stages"].insert(0, shadow))
    new = world.image("fraud:v2")
    assert world.run(120, until=lambda w: w.status.phase is Phase.SHADOW)
    world.run(20)
    listed = world.objects[Ref("HTTPRoute", NAME)]["spec"]["rules"]
    rule = listed[chosen(listed, {"x-preview": "candidate", "cookie": "theme=dark"})]
    assert [ref["name"] for ref in rule["backendRefs"]] == [child_name(NAME, new)]
    assert "filters" not in rule, "what comes to the preview is not copied"
    assert {user.cookies.get("seatrial") for user in world.users.all} == {None}, "nobody is drawn in a shadow"


def test_proxies_that_are_late_move_nobody_once_they_know() -> None:
    """A second between the first and the last proxy: users move then, and only then."""
    world = crowd()
    world.proxy_lag = [0.1, 0.4, 1.2]
    old, new = world.wanted, world.image("fraud:v2")
    for percent in (10, 50):
        assert world.run(400, until=lambda w, p=percent: w.status.weight == str(p))  # type: ignore[misc]
        before = world.users.moves[new, old]
        world.run(50)
        assert world.users.moves[new, old] == before
        assert about(world.users.with_revision(new), percent)


def test_an_operator_that_dies_at_every_write_moves_nobody_back() -> None:
    """The route is written and the status is lost, or only some objects are written: users stay where they are."""
    world = crowd()
    old, new = world.wanted, world.image("fraud:v2")
    deaths = Counter[str]()

    def dies(w: World, moment: Moment, _: object) -> None:
        if w.random.random() < 0.3:
            deaths[moment] += 1
            raise PassEnds(died=True)

    world.at = dies
    for percent in (10, 50):
        confirmed(world, percent)
        assert about(world.users.with_revision(new), percent)
        assert set(world.users.moves) <= {(old, new)}
    ends(world, Phase.STABLE, 3000)
    assert set(world.users.moves) == {(old, new)}
    assert world.users.moves[old, new] <= CROWD
    assert deaths[Moment.APPLIED] > 5
    assert not world.lost


def test_steps_edited_to_a_lower_weight_leave_so_many_users() -> None:
    world = crowd(steps=[{"weight": 10, "minDuration": "1m"}, {"weight": 50, "minDuration": "20m"}])
    new = world.image("fraud:v2")
    confirmed(world, 50)
    world.edit(
        lambda spec: spec["strategy"]["stages"][0]["canary"]["steps"].__setitem__(
            1, {"weight": 60, "minDuration": "20m"}
        )
    )
    world.edit(lambda spec: spec["strategy"]["stages"][0]["canary"]["steps"][0].update(minDuration="20m"))
    confirmed(world, 10)
    assert about(world.users.with_revision(new), 10)
    assert not world.lost
