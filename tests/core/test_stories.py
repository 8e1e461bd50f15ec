"""Whole trials as stories: what a person would read, kept in files that a reviewer reads as a diff.

`UPDATE_STORIES=1 pytest tests/core/test_stories.py` writes them anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seatrial.api.status import PARTS, Phase, Trialled
from seatrial.build.names import child_name
from seatrial.core.commands import Action
from seatrial.core.state import Manifest, Ref
from tests.sim.invariants import Invariants
from tests.sim.prometheus import Weather
from tests.sim.world import NAME, Behaviour, World, base_spec, settled

STORIES = Path(__file__).parent / "stories"
Story = Callable[[], World]
TOLD: dict[str, Story] = {}


def story(tell: Story) -> Story:
    TOLD[tell.__name__] = tell
    return tell


def served(*, hands_off: bool = True, lossless: bool | None = None, **options: Any) -> World:
    """A world in which v1 serves."""
    world = World(**options)
    world.watchers.append(Invariants(hands_off=hands_off, lossless=lossless))
    world.image("fraud:v1")
    assert world.run(60, until=settled), world.status.message
    world.run(30)
    return world


def ends(world: World, phase: Phase, seconds: float = 1500) -> None:
    reached = world.run(seconds, until=lambda w: w.status.phase is phase and w.status.rollout is None)
    assert reached, f"{world.status.phase}: {world.status.message}"
    world.run(60)
    assert world.status.phase is phase
    world.tell(f"phase {phase}; {world.status.message}")


@story
def first_deployment() -> World:
    world = served()
    assert world.status.phase is Phase.STABLE
    return world


@story
def first_deployment_crashes() -> World:
    world = World()
    world.watchers.append(Invariants())
    world.image("fraud:v1", Behaviour(start=10, crash_after=1))
    ends(world, Phase.FAILED)
    assert world.weight(world.wanted) == 0
    return world


@story
def healthy_canary() -> World:
    world = served()
    old, new = world.status.stable, world.image("fraud:v2")
    pods = None
    for _ in range(600):
        world.step()
        if pods is None and world.weight(new) > PARTS // 4:
            pods = {p.name for p in world.pods if p.revision == new}
        if settled(world) and world.status.stable == new:
            break
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    assert pods is not None and pods <= {p.name for p in world.pods}, "a pod of the candidate was started anew"
    assert not any(ref.name == child_name(NAME, str(old)) for ref in world.objects), "the old revision is gone"
    return world


@story
def errors_from_the_first_request() -> World:
    world = served()
    world.image("fraud:v2", Behaviour(errors=1.0))
    ends(world, Phase.ROLLED_BACK)
    return world


@story
def errors_that_begin_at_25_percent() -> World:
    world = served()
    world.image("fraud:v2", Behaviour(errors=0.3, errors_from=1500))
    ends(world, Phase.ROLLED_BACK)
    return world


@story
def slow_candidate() -> World:
    world = served()
    world.image("fraud:v2", Behaviour(slow=0.5))
    ends(world, Phase.ROLLED_BACK)
    return world


@story
def preflight_finds_skew() -> World:
    spec = base_spec(preflight={"requests": {"configMapRef": {"name": "golden"}}})
    spec["model"]["owner"] = "risk-ml@example.com"
    world = served(spec=spec)
    world.image("fraud:v2", Behaviour(preflight="row 3, predict: expected 1, got 0"))
    ends(world, Phase.ROLLED_BACK)
    assert world.served[world.wanted] == 0, "not one user met it"
    return world


@story
def crash_loop_in_mid_trial_while_prometheus_is_down() -> World:
    world = served()
    new = world.image("fraud:v2", Behaviour(crash_after=100))
    world.run(60, until=lambda w: w.weight(new) > 1)
    world.prometheus.weather = Weather.DOWN
    world.tell("Prometheus goes down")
    world.watchers[0].lossless = False  # type: ignore[attr-defined] # requests in the crashing pods are lost
    ends(world, Phase.ROLLED_BACK)
    return world


@story
def prometheus_goes_down_and_comes_back() -> World:
    world = served()
    new = world.image("fraud:v2")
    world.run(120, until=lambda w: w.status.weight == "5")
    world.prometheus.weather = Weather.DOWN
    world.tell("Prometheus goes down")
    world.run(600)
    assert world.status.weight == "5", "held"
    world.prometheus.weather = Weather.FINE
    world.tell("Prometheus comes back")
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@story
def no_traffic_at_all() -> World:
    world = served()
    world.rate = 0
    world.tell("clients stop")
    world.image("fraud:v2")
    world.run(1800)
    assert world.status.weight == "5"
    assert world.status.phase is Phase.CANARY
    world.tell(world.status.message)
    return world


@story
def another_revision_in_mid_trial() -> World:
    world = served()
    second = world.image("fraud:v2")
    world.run(200, until=lambda w: w.status.weight == "25")
    third = world.image("fraud:v3")
    ends(world, Phase.STABLE)
    assert world.status.stable == third
    assert [e.revision for e in world.status.history if e.outcome is Trialled.SUPERSEDED] == [second]
    return world


@story
def back_to_stable_by_the_spec() -> World:
    world = served()
    stable = world.status.stable
    world.image("fraud:v2")
    world.run(200, until=lambda w: w.status.weight == "25")
    world.image("fraud:v1")
    ends(world, Phase.STABLE)
    assert world.status.stable == stable
    assert world.status.rejected is None
    return world


@story
def pause_and_resume() -> World:
    world = served()
    new = world.image("fraud:v2")
    world.run(200, until=lambda w: w.status.weight == "5")
    world.command(Action.PAUSE, new, reason="lunch")
    world.run(600)
    assert world.status.weight == "5"
    world.command(Action.RESUME, new)
    ends(world, Phase.STABLE)
    return world


@story
def paused_does_not_protect_a_failing_candidate() -> World:
    world = served()
    new = world.image("fraud:v2", Behaviour(errors=0.3, errors_from=800))
    world.run(200, until=lambda w: w.status.weight == "5")
    world.command(Action.PAUSE, new)
    ends(world, Phase.ROLLED_BACK)
    return world


@story
def approval_to_leave() -> World:
    spec = base_spec()
    spec["strategy"]["stages"][0]["canary"]["steps"][1]["approval"] = {"when": "ToLeave"}
    world = served(spec=spec)
    new = world.image("fraud:v2")
    world.run(900)
    assert world.status.weight == "25"
    world.command(Action.APPROVE, new, by="bob", reason="looks good")
    ends(world, Phase.STABLE)
    return world


@story
def approval_by_somebody_else() -> World:
    spec = base_spec()
    spec["strategy"]["stages"][0]["canary"]["steps"][1]["approval"] = {"when": "ToLeave", "notAuthor": True}
    world = served(spec=spec)
    world.kept("ann")
    new = world.image("fraud:v2")
    world.run(300)
    world.command(Action.APPROVE, new, by="ann", reason="trust me")
    world.run(60)
    assert world.status.weight == "25", "the author is not the second person"
    world.command(Action.APPROVE, new, by="bob", reason="looks good")
    ends(world, Phase.STABLE)
    return world


@story
def author_behind_a_gitops_account() -> World:
    spec = base_spec()
    spec["strategy"]["stages"][0]["canary"]["steps"][1]["approval"] = {"when": "ToLeave", "notAuthor": True}
    world = served(spec=spec)
    world.kept("system:serviceaccount:argocd:argocd-application-controller")
    new = world.image("fraud:v2")
    world.run(60)
    assert not world.ready(new), "not one pod is started for a gate that nobody can pass"
    world.edit(lambda s: s["strategy"]["stages"][0]["canary"]["steps"][1].pop("approval"))
    world.tell("kubectl: no approval")
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@story
def hotfix_skips_the_checks() -> World:
    world = served()
    new = world.image("fraud:v2")
    world.run(120, until=lambda w: w.status.weight == "5")
    world.prometheus.weather = Weather.DOWN
    world.tell("Prometheus goes down")
    world.run(60)
    world.command(Action.SKIP_CHECKS, new, by="fay", reason="INC-7: stable leaks names")
    ends(world, Phase.STABLE, 200)
    assert world.status.stable == new
    return world


@story
def hotfix_whose_pods_break_goes_back() -> World:
    world = served()
    world.watchers[0].lossless = False  # type: ignore[attr-defined] # requests in the crashing pods are lost
    stable = world.status.stable
    new = world.image("fraud:v2", Behaviour(crash_after=25))
    world.run(5)
    world.command(Action.SKIP_CHECKS, new, by="fay", reason="INC-8")
    ends(world, Phase.ROLLED_BACK)
    assert world.status.stable == stable
    return world


@story
def abort_and_retry() -> World:
    world = served()
    new = world.image("fraud:v2")
    world.run(200, until=lambda w: w.status.weight == "25")
    world.command(Action.ABORT, new, reason="wrong ticket")
    ends(world, Phase.ROLLED_BACK)
    world.run(300)
    assert world.status.phase is Phase.ROLLED_BACK, "a rejected revision is not tried again by itself"
    world.command(Action.RETRY, new)
    ends(world, Phase.STABLE)
    return world


@story
def promote_skips_exposure() -> World:
    world = served()
    new = world.image("fraud:v2")
    world.run(200, until=lambda w: w.status.weight == "5")
    world.command(Action.PROMOTE, new, reason="hotfix")
    ends(world, Phase.STABLE)
    return world


@story
def command_for_another_revision_is_refused() -> World:
    world = served()
    world.image("fraud:v2")
    world.run(30)
    world.command(Action.ABORT, "0123456789")
    ends(world, Phase.STABLE)
    return world


@story
def no_capacity() -> World:
    world = served()
    world.quota = 'pods "fraud-x" is forbidden: exceeded quota: gpus'
    world.image("fraud:v2")
    world.run(900)
    assert world.status.phase is Phase.PREPARING, "a missing capacity is not the model's fault"
    world.quota = ""
    world.tell("the quota is raised")
    ends(world, Phase.STABLE)
    return world


@story
def image_that_cannot_be_pulled() -> World:
    world = served()
    world.image("fraud:v2", Behaviour(image_error="manifest for fraud:v2 not found"))
    ends(world, Phase.ROLLED_BACK)
    return world


@story
def template_the_api_server_refuses() -> World:
    world = served()
    world.template_refused = 'spec.template.spec.containers[0].imagePullPolicy: unknown value "Sometimes"'
    world.image("fraud:v2")
    world.run(120)
    assert world.status.phase is Phase.STABLE
    assert world.status.rollout is None
    world.template_refused = ""
    world.image("fraud:v3")
    ends(world, Phase.STABLE)
    return world


@story
def weights_moved_by_hand() -> World:
    world = served(hands_off=False)
    new = world.image("fraud:v2")
    world.run(200, until=lambda w: w.status.weight == "25")

    def half(route: Manifest) -> None:
        for ref in route["spec"]["rules"][0]["backendRefs"]:
            ref["weight"] = PARTS // 2

    world.hand_edit(Ref("HTTPRoute", NAME), half)
    world.run(3)
    assert world.weight(new) == PARTS // 4
    ends(world, Phase.STABLE)
    assert not world.lost
    return world


@story
def candidate_template_edited_by_hand() -> World:
    world = served(hands_off=False)
    new = world.image("fraud:v2")
    world.run(200, until=lambda w: w.status.weight == "25")

    def env(deployment: Manifest) -> None:
        deployment["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "X", "value": "1"}]

    world.hand_edit(Ref("Deployment", child_name(NAME, new)), env)
    ends(world, Phase.STABLE)
    assert not world.lost
    return world


@story
def record_and_services_deleted_by_hand() -> World:
    world = served(hands_off=False)
    stable = str(world.status.stable)
    world.hand_delete(Ref("ControllerRevision", child_name(NAME, stable)))
    world.run(3)
    world.hand_delete(Ref("Service", NAME))
    world.run(3)
    assert Ref("ControllerRevision", child_name(NAME, stable)) in world.objects
    assert Ref("Service", NAME) in world.objects
    ends(world, Phase.STABLE)
    assert not world.lost
    return world


@story
def steps_edited_in_mid_trial() -> World:
    world = served()
    world.image("fraud:v2")
    world.run(300, until=lambda w: w.status.weight == "25")

    def slower(spec: dict[str, Any]) -> None:
        weights = (1, 10, 30, 60)
        spec["strategy"]["stages"][0]["canary"]["steps"] = [{"weight": w, "minDuration": "1m"} for w in weights]

    world.edit(slower)
    world.tell("kubectl: steps 1, 10, 30, 60")
    world.run(20)
    assert world.status.weight == "10"
    ends(world, Phase.STABLE)
    return world


@story
def candidate_pods_all_die() -> World:
    world = served(hands_off=False)
    new = world.image("fraud:v2")
    world.run(300, until=lambda w: w.status.weight == "25")
    world.kill_pods(new)
    world.tell("all pods of the candidate die")
    ends(world, Phase.ROLLED_BACK)
    return world


@story
def suspended() -> World:
    world = served(hands_off=False)
    world.edit(lambda spec: spec.update(suspend=True))
    world.tell("kubectl: suspend")
    world.run(5)
    world.image("fraud:v2")
    writes = world.writes
    world.run(300)
    assert world.writes == writes
    assert world.status.phase is Phase.SUSPENDED
    world.edit(lambda spec: spec.update(suspend=False))
    ends(world, Phase.STABLE)
    return world


@story
def parked_and_back() -> World:
    world = served(hands_off=False)
    world.edit(lambda spec: spec.update(replicas=0))
    ends(world, Phase.PARKED)
    world.edit(lambda spec: spec.update(replicas=4))
    ends(world, Phase.STABLE)
    return world


@story
def status_is_wiped_in_mid_trial() -> World:
    world = served(hands_off=False)
    stable = world.status.stable
    new = world.image("fraud:v2")
    world.run(300, until=lambda w: w.status.weight == "25")
    world.resource["status"] = {}
    world._seen = None
    world.tell("somebody wipes the status")
    world.run(2)
    assert world.status.stable == stable
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    assert not world.lost
    return world


def check_story(name: str, world: World) -> None:
    """Compare what happened with the story on file."""
    text = "\n".join(world.story) + "\n"
    text += f"\n{world.sent:,} requests sent, {sum(world.lost.values()):,} lost, "
    text += f"{world.user_errors:,} answered with an error; {world.writes} objects and "
    text += f"{world.status_writes} statuses written\n"
    file = STORIES / f"{name}.txt"
    if os.environ.get("UPDATE_STORIES"):
        STORIES.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.exists(), f"no story on file for {name}: UPDATE_STORIES=1 writes it"
    assert text == file.read_text()


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    """The world ends as it should, and the story is the one on file."""
    check_story(name, TOLD[name]())


def test_an_idle_resource_costs_no_write() -> None:
    """At rest, an hour passes without a write and without a pass."""
    world = served()
    world.run(60)
    writes, statuses, passes = world.writes, world.status_writes, world.watchers[0].passes  # type: ignore[attr-defined]
    world.run(3600)
    assert (world.writes, world.status_writes) == (writes, statuses)
    assert world.watchers[0].passes == passes  # type: ignore[attr-defined]


def test_a_candidate_whose_pods_had_all_gone_comes_back() -> None:
    """A gateway tells nothing of a backend without weight, and without evidence no weight rises: one part breaks that."""
    world = served(hands_off=False)
    new = world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.weight(new) == PARTS // 4)
    world.quota = "exceeded quota: memory"
    world.kill_pods(new)
    assert world.run(60, until=lambda w: w.weight(new) == 0)
    world.run(120)
    world.quota = ""
    ends(world, Phase.STABLE)
    assert world.status.stable == new
