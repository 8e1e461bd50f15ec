"""House rules that are edited, deleted and unreadable around a trial, told as stories; see `test_stories.py`."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.api.status import Phase
from seatrial.core.commands import Action
from tests.core.test_house import policy
from tests.core.test_stories import check_story, ends, served
from tests.sim.world import Behaviour, World, base_spec

TOLD: dict[str, Any] = {}

SHARE = {"of": 'decisions_total{decision="block"}', "per": "decisions_total"}
BLOCKED = {"name": "blocked", "share": SHARE, "margin": {"points": "5"}, "worseWhen": "Either"}
STRICT = policy(checks=[BLOCKED], require={"checks": ["blocked"]})
APPROVED = policy(require={"approval": {}})


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


def condition(world: World) -> tuple[str, str]:
    """Status and reason of the condition on house rules."""
    found = next((c for c in world.status.conditions if c.type == "HouseRules"), None)
    return ("", "") if found is None else (found.status, found.reason)


def at_25_percent(**options: Any) -> World:
    world = served(**options)
    world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.weight == "25")
    return world


@story
def a_check_required_in_mid_trial() -> World:
    """It begins without evidence, and nothing is accepted before it has spoken; the trial goes on where it is."""
    world = at_25_percent()
    started = world.status.rollout.started if world.status.rollout else None
    world.rules("ClusterTrialPolicy critical requires check blocked", STRICT)
    world.run(5)
    assert world.status.rollout is not None
    assert (world.status.rollout.started, world.status.weight) == (started, "25"), "no trial starts anew for a check"
    assert condition(world) == ("True", "InForce")
    ends(world, Phase.STABLE)
    assert {check.name for check in world.status.checks} == {"errors", "latency", "blocked"}
    return world


@story
def a_check_required_in_mid_trial_finds_a_bad_model() -> World:
    world = served()
    world.image("fraud:v2", Behaviour(blocks=0.6))
    assert world.run(300, until=lambda w: w.status.weight == "25")
    world.rules("ClusterTrialPolicy critical requires check blocked", STRICT)
    ends(world, Phase.ROLLED_BACK)
    assert "check blocked failed" in world.status.message
    return world


@story
def an_approval_required_in_mid_trial() -> World:
    world = at_25_percent()
    world.rules("ClusterTrialPolicy critical requires an approval", APPROVED)
    assert world.run(600, until=lambda w: "wants an approval" in w.status.message)
    new = world.wanted
    world.run(600)
    assert world.status.candidate == new
    world.command(Action.APPROVE, new)
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@story
def a_policy_deleted_in_mid_trial_goes_on_holding() -> World:
    """Through a restart of the operator, too; who means to let go says so by an empty one."""
    world = at_25_percent()
    world.rules("ClusterTrialPolicy critical requires an approval", APPROVED)
    world.run(5)
    world.rules("ClusterTrialPolicy critical is deleted")
    world.run(5)
    assert condition(world) == ("False", "PolicyGone")
    world.kill_operator()
    world.tell("the operator starts anew")
    assert world.run(600, until=lambda w: "wants an approval" in w.status.message)
    world.run(600)
    world.rules("ClusterTrialPolicy critical is created again, empty", policy())
    ends(world, Phase.STABLE)
    assert condition(world) == ("", "")
    assert world.status.house == []
    return world


@story
def a_policy_that_a_running_trial_conflicts_with() -> World:
    """It is judged on, by what is required; it gets no more exposure, and can go back. Stable is left alone."""
    world = served(spec=base_spec(analysis={"none": "a toy", "interval": "15s"}))
    new = world.image("fraud:v2", Behaviour(blocks=0.6))
    assert world.run(300, until=lambda w: w.status.weight == "5")
    world.rules("ClusterTrialPolicy critical requires check blocked", STRICT)
    world.run(30)
    stalled = next(c for c in world.status.conditions if c.type == "Stalled")
    assert (stalled.status, stalled.reason) == ("True", "RulesConflict")
    assert "ModelDeployment models/fraud says analysis.none, and ClusterTrialPolicy critical" in stalled.message
    assert world.run(900, until=lambda w: w.status.rollout is None)
    assert world.status.rejected is not None
    assert world.status.rejected.revision == new
    assert world.status.weight == ""
    world.tell(world.status.rejected.message)
    return world


@story
def no_trial_begins_while_rules_cannot_be_read() -> World:
    world = served()
    world.rules("the operator loses the right to read policies", unread="policies cannot be read: forbidden")
    world.image("fraud:v2")
    world.run(300)
    assert world.status.rollout is None
    assert world.status.message == "policies cannot be read: forbidden"
    world.rules("the operator may read policies again")
    ends(world, Phase.STABLE)
    assert world.status.stable == world.wanted
    return world


@story
def rules_edited_at_rest_start_no_trial() -> World:
    world = served()
    statuses = world.status_writes
    for rule in (STRICT, APPROVED, policy()):
        world.rules("ClusterTrialPolicy critical is edited", rule)
        world.run(60)
        assert world.status.phase is Phase.STABLE
        assert world.status.rollout is None
    assert world.status_writes == statuses + 3, "one for each edit, and none after it"
    return world


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    """The world ends as it should, and the story is the one on file."""
    check_story(name, TOLD[name]())


def test_a_shadow_required_in_mid_trial_is_for_the_next_one() -> None:
    """Users have met the candidate already: it stays where it is, and never goes back into a shadow."""
    world = at_25_percent()
    world.rules("ClusterTrialPolicy critical requires a shadow", policy(require={"shadow": {"minDuration": "1m"}}))
    world.run(10)
    assert (world.status.phase, world.status.weight, world.status.step) == (Phase.CANARY, "25", "3/4")
    ends(world, Phase.STABLE)
    world.image("fraud:v3")
    assert world.run(120, until=lambda w: w.status.phase is Phase.SHADOW)


def test_a_first_revision_is_not_held_up_by_rules_that_cannot_be_read() -> None:
    """It has nothing to be compared with, and nobody to approve it."""
    world = World()
    world.rules("no right", unread="policies cannot be read: forbidden")
    world.image("fraud:v1")
    assert world.run(120, until=lambda w: w.status.phase is Phase.STABLE), world.status.message
