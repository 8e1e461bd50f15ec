"""A second person's approval, and the way past all judgement: neither is given by accident."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.api.status import PARTS, Phase, Trialled
from seatrial.core.commands import Action
from seatrial.runtime.telemetry import Telemetry
from tests.sim.invariants import Invariants
from tests.sim.prometheus import Weather
from tests.sim.world import NAME, NAMESPACE, START, Behaviour, World, base_spec, settled

GITOPS = "system:serviceaccount:argocd:argocd-application-controller"


def gated(**approval: Any) -> World:
    """A world in which v1 serves, and the second step wants somebody else than the author."""
    spec = base_spec()
    gate = {"when": "ToLeave", "notAuthor": True, **approval}
    spec["strategy"]["stages"][0]["canary"]["steps"][1]["approval"] = gate
    world = World(spec=spec)
    world.watchers.append(Invariants())
    assert world.run(60, until=settled), "a first revision passes no gates"
    world.run(30)
    return world


def waiting(world: World, *authors: str) -> str:
    """Let a second revision come to its gate; returns it."""
    world.kept(*authors)
    new = world.image("fraud:v2")
    assert world.run(600, until=lambda w: "wants an approval" in w.status.message), world.status.message
    return new


def refusals(world: World) -> list[str]:
    return [event.message for event in world.events if event.reason == "CommandRefused"]


def stalled(world: World) -> str:
    """Why nothing begins, as `Stalled/AuthorUnknown` says it."""
    (found,) = (c for c in world.status.conditions if c.type == "Stalled")
    return found.message if found.status == "True" and found.reason == "AuthorUnknown" else ""


# ---- notAuthor ---------------------------------------------------------------------------------------------------------


def test_who_waits_is_told_who_will_not_do() -> None:
    world = gated()
    waiting(world, "ann", "b o%b")
    assert "wants an approval by somebody other than ann and b o%b before it is left" in world.status.message


@pytest.mark.parametrize("author", ["ann", "b o%b"])
def test_nobody_who_had_a_hand_in_it_approves(author: str) -> None:
    """Neither who made the revision, nor who changed the spec since."""
    world = gated()
    new = waiting(world, "ann", "b o%b")
    world.command(Action.APPROVE, new, by=author)
    world.run(60)
    (why,) = refusals(world)
    assert why == (
        f"approve by {author} is refused: {author} made or changed what is on trial, and this gate wants somebody else "
        "(notAuthor)"
    )
    assert world.status.weight == "25"
    world.command(Action.APPROVE, new, by="cat")
    assert world.run(300, until=lambda w: w.status.phase is Phase.STABLE)


def test_without_the_field_the_author_may_approve() -> None:
    world = gated(notAuthor=False)
    new = waiting(world, "ann")
    world.command(Action.APPROVE, new, by="ann")
    assert world.run(300, until=lambda w: w.status.phase is Phase.STABLE and w.status.rollout is None)


UNKNOWN = {
    "an author behind a GitOps account": ((GITOPS,), f"the author on record is {GITOPS}"),
    "a change behind a GitOps account": (("ann", GITOPS), f"the author on record is {GITOPS}"),
    "a revision from before": ((), "this revision was made before authors were kept"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_a_gate_that_nobody_can_pass_is_told_of_before_the_trial(case: str) -> None:
    authors, says = UNKNOWN[case]
    world = gated()
    world.kept(*authors)
    new = world.image("fraud:v2")
    world.run(60)
    assert stalled(world).startswith(f"an approval with notAuthor cannot be given: {says}")
    assert world.status.rollout is None
    assert world.ready(new) == 0


def test_where_nothing_keeps_authors_the_field_is_refused_whatever_the_annotation_says() -> None:
    """Anybody who may patch a model could have written it."""
    world = gated()
    world.kept("ann")
    world.installation = World().installation
    world.image("fraud:v2")
    world.run(60)
    assert "nothing here keeps the author of a revision; install the chart with authority.commands" in stalled(world)
    world.edit(lambda spec: spec["strategy"]["stages"][0]["canary"]["steps"][1]["approval"].update(notAuthor=False))
    assert world.run(300, until=lambda w: "wants an approval" in w.status.message)
    assert not stalled(world)


def test_an_approval_is_refused_when_the_author_becomes_unknown_while_it_waits() -> None:
    """The policies are uninstalled in mid-trial: the trial stops, and an approval does not help it."""
    world = gated()
    new = waiting(world, "ann")
    world.installation = World().installation
    world.command(Action.APPROVE, new, by="bob")
    world.run(120)
    assert "nothing here keeps the author" in refusals(world)[0]
    assert "nothing here keeps the author" in stalled(world)
    assert world.status.weight == "25"
    world.command(Action.ABORT, new, by="bob")
    assert world.run(120, until=lambda w: w.status.phase is Phase.ROLLED_BACK)


def test_at_rest_an_unknown_author_is_no_trouble() -> None:
    world = gated()
    world.run(60)
    assert not stalled(world)
    assert world.status.phase is Phase.STABLE


def test_a_gate_that_was_passed_asks_no_more() -> None:
    world = gated()
    new = waiting(world, "ann")
    world.command(Action.APPROVE, new, by="bob")
    assert world.run(60, until=lambda w: w.status.weight == "50")
    world.kept("ann", GITOPS)
    assert world.run(300, until=lambda w: w.status.phase is Phase.STABLE and w.status.rollout is None)
    assert world.status.stable == new


# ---- skip-checks -------------------------------------------------------------------------------------------------------


def served(**options: Any) -> World:
    world = World(**options)
    world.watchers.append(Invariants())
    assert world.run(60, until=settled)
    world.run(30)
    return world


def skipping(world: World, new: str) -> None:
    world.command(Action.SKIP_CHECKS, new, by="fay", reason="INC-7")


@pytest.mark.parametrize("weight", ["0", "5", "25"])
def test_it_goes_to_all_traffic_from_wherever_it_is(weight: str) -> None:
    """Through the same safe steps, with as many pods: the invariants of every world hold, and nothing is lost."""
    world = served()
    new = world.image("fraud:v2", Behaviour(start=20))
    assert world.run(300, until=lambda w: w.status.rollout is not None and w.status.weight == weight)
    skipping(world, new)
    assert world.run(90, until=lambda w: w.weight(new) == PARTS), world.status.message
    assert world.run(90, until=lambda w: w.status.stable == new)
    assert not world.lost


def test_checks_that_fail_do_not_send_it_back_any_more() -> None:
    """That is what was asked for, by somebody with the right to."""
    world = served()
    world.edit(lambda s: s["analysis"].update(checks=[{"name": "errors", "preset": "Errors", "onFail": "Pause"}]))
    new = world.image("fraud:v2", Behaviour(errors=0.5))
    assert world.run(200, until=lambda w: w.status.paused is not None)
    skipping(world, new)
    assert world.run(120, until=lambda w: w.status.stable == new)
    assert world.status.paused is None


def test_gates_are_passed_too() -> None:
    world = gated()
    new = waiting(world, "fay")
    skipping(world, new)
    assert world.run(120, until=lambda w: w.status.stable == new)


def test_without_room_it_waits_for_its_pods() -> None:
    world = served()
    world.quota = "exceeded quota: pods"
    new = world.image("fraud:v2")
    world.run(30)
    skipping(world, new)
    world.run(300)
    assert world.weight(new) == 0
    world.quota = ""
    assert world.run(120, until=lambda w: w.status.stable == new)


def test_recorded_requests_are_still_answered() -> None:
    """No user has met it yet, and a wrong answer is no hotfix."""
    world = served(spec=base_spec(preflight={"requests": {"configMapRef": {"name": "golden"}}}))
    new = world.image("fraud:v2", Behaviour(start=20, preflight="row 3, predict: expected 1, got 0"))
    world.run(5)
    skipping(world, new)
    assert world.run(120, until=lambda w: w.status.phase is Phase.ROLLED_BACK)
    assert world.served[new] == 0


def test_a_pause_still_stops_it_and_an_abort_still_sends_it_back() -> None:
    world = served()
    new = world.image("fraud:v2", Behaviour(start=20))
    world.run(5)
    skipping(world, new)
    world.command(Action.PAUSE, new)
    world.run(120)
    assert world.weight(new) == 0
    world.command(Action.ABORT, new)
    assert world.run(120, until=lambda w: w.status.phase is Phase.ROLLED_BACK)
    (entry, *_) = world.status.history
    assert entry.skipped_checks is not None
    assert entry.skipped_checks.by == "fay", "asked for, if in vain"


def test_a_first_revision_has_nothing_to_skip() -> None:
    world = World(spec=base_spec())
    world.behaviours["fraud:v1"] = Behaviour(start=30)
    world.run(5)
    skipping(world, world.wanted)
    world.run(5)
    assert "nothing can be skipped" in refusals(world)[0]


def test_it_is_recorded_told_and_counted() -> None:
    world, telemetry = served(), Telemetry()
    new = world.image("fraud:v2")
    world.run(120, until=lambda w: w.status.weight == "5")
    world.prometheus.weather = Weather.DOWN
    before = world.status
    skipping(world, new)
    assert world.run(120, until=lambda w: w.status.stable == new)
    (entry, *_) = world.status.history
    assert (entry.outcome, entry.reason) == (Trialled.PROMOTED, "ChecksSkipped")
    assert entry.message.endswith("unjudged: fay skipped the checks (INC-7)")
    assert entry.skipped_checks is not None
    assert (entry.skipped_checks.by, entry.skipped_checks.reason) == ("fay", "INC-7")
    assert START < entry.skipped_checks.at < entry.ended
    (told,) = (event for event in world.events if event.reason == "ChecksSkipped")
    assert told.type == "Warning"
    assert told.message.startswith("fay skips the checks (INC-7)")
    telemetry.stored((NAMESPACE, NAME), before, world.status)
    telemetry.decided(event.reason for event in world.events)
    sample = telemetry.registry.get_sample_value
    assert sample("seatrial_trials_total", {"outcome": "Promoted", "reason": "ChecksSkipped"}) == 1
    assert sample("seatrial_decisions_total", {"kind": "ChecksSkipped"}) == 1


def test_on_probation_no_check_takes_a_hotfix_back_and_a_person_still_can() -> None:
    """What it was to replace would serve again, and a holdback would go on serving it."""
    spec = base_spec(analysis={"interval": "15s", "minSamples": 200})
    spec["strategy"]["probation"] = {"duration": "1h", "holdback": 20}
    world = served(spec=spec)
    old, new = world.wanted, world.image("fraud:v2", Behaviour(errors=0.5))
    world.run(5)
    skipping(world, new)
    assert world.run(120, until=lambda w: w.status.stable == new)
    world.run(600)
    assert (world.status.stable, world.status.phase) == (new, Phase.PROBATION)
    assert world.weight(old) <= 1
    world.command(Action.ABORT, new)
    assert world.run(120, until=lambda w: w.status.phase is Phase.ROLLED_BACK)
    assert world.status.stable == old


def test_a_shadow_ends_at_once_when_checks_are_skipped() -> None:
    spec = base_spec()
    spec["strategy"]["stages"] = [{"shadow": {"percent": 20, "minDuration": "10m"}}, *spec["strategy"]["stages"]]
    world = served(spec=spec)
    new = world.image("fraud:v2")
    assert world.run(120, until=lambda w: w.status.phase is Phase.SHADOW)
    world.run(20)
    skipping(world, new)
    assert world.run(120, until=lambda w: w.status.stable == new)
    assert world.status.traffic.mirror is None
