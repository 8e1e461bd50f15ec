"""Trials of every kind of stage, told as stories; see `test_stories.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from seatrial.api.status import PARTS, OverlayKind, Phase
from seatrial.build.names import comparer_name, is_comparer
from seatrial.core import mirroring
from seatrial.core.commands import Action
from seatrial.core.state import GatewayClass, Ref
from tests.core.test_stories import check_story, ends, served
from tests.sim.world import NAME, Behaviour, World, base_spec

TOLD: dict[str, Any] = {}


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


def spec_of(*stages: dict[str, Any], **strategy: Any) -> dict[str, Any]:
    strategy.setdefault("probation", {"duration": "0s"})
    return base_spec(strategy={"stages": list(stages), **strategy})


SHADOW = {"shadow": {"percent": 20, "minDuration": "1m"}}
CANARY = {"canary": {"steps": [{"weight": 5, "minDuration": "1m"}, {"weight": 50, "minDuration": "1m"}]}}
PREVIEW = {"blueGreen": {"minDuration": "1m"}}
APPROVED = {"blueGreen": {"minDuration": "1m", "approval": {"when": "ToLeave"}}}


@story
def shadow_then_canary() -> World:
    world = served(spec=spec_of(SHADOW, CANARY))
    new = world.image("fraud:v2")
    assert world.run(120, until=lambda w: w.status.phase is Phase.SHADOW)
    world.run(40)
    assert world.copied[new] > 0, "the candidate gets copies"
    assert world.served[new] == 0, "and answers nobody"
    assert world.weight(new) == 0
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@story
def a_bad_model_is_stopped_in_the_shadow() -> World:
    world = served(spec=spec_of(SHADOW, CANARY))
    new = world.image("fraud:v2", Behaviour(errors=0.3))
    ends(world, Phase.ROLLED_BACK)
    assert world.copied[new] > 0
    assert world.served[new] == 0, "not one user met it"
    route = world.objects[Ref("HTTPRoute", NAME)]
    assert "filters" not in route["spec"]["rules"][0], "the copies have ended"
    return world


@story
def answers_are_compared_in_the_shadow() -> World:
    spec = spec_of(SHADOW, CANARY)
    spec["analysis"]["checks"] = [{"name": "errors", "preset": "Errors"}, {"name": "same", "agreement": {}}]
    world = served(spec=spec)
    new = world.image("fraud:v2")
    assert world.run(200, until=lambda w: w.status.phase is Phase.SHADOW and w.status.traffic.mirror is not None)
    comparer = Ref("Deployment", comparer_name(NAME, new))
    assert comparer in world.objects
    mirrors = world.objects[Ref("HTTPRoute", NAME)]["spec"]["rules"][0]["filters"]
    assert [m["requestMirror"]["percent"] for m in mirrors] == [20, 5]
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    assert comparer not in world.objects
    assert Ref("Service", comparer.name) not in world.objects
    return world


@story
def a_model_that_answers_otherwise_is_stopped_in_the_shadow() -> World:
    spec = spec_of(SHADOW, CANARY)
    spec["analysis"]["checks"] = [{"name": "same", "agreement": {}}]
    world = served(spec=spec)
    new = world.image("fraud:v2", Behaviour(differs=0.3))
    ends(world, Phase.ROLLED_BACK)
    assert world.served[new] == 0, "not one user met it"
    assert not any(is_comparer(NAME, ref.name) for ref in world.objects)
    return world


@story
def agreement_without_an_image_of_the_operator() -> World:
    spec = spec_of(SHADOW)
    spec["analysis"]["checks"] = [{"name": "same", "agreement": {}}]
    world = served(spec=spec)
    world.installation = replace(world.installation, image="")
    new = world.image("fraud:v2")
    world.run(60)
    assert world.ready(new) == 0, "no pod is started for a trial that could not be judged"
    world.tell(world.status.message)
    return world


@story
def shadow_on_a_gateway_that_cannot_copy_a_part() -> World:
    """Before any pod is started; with all of the requests copied it can."""
    world = served(spec=spec_of(SHADOW, CANARY))
    able = GatewayClass("plain", "example.com/controller", frozenset({"HTTPRoute", mirroring.ALL}))
    world.gateway_classes = (able,)
    new = world.image("fraud:v2")
    world.run(60)
    assert world.ready(new) == 0
    world.tell(world.status.message)
    world.edit(lambda spec: spec["strategy"]["stages"][0]["shadow"].update(percent=100))
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@story
def shadow_on_a_gateway_of_which_nothing_is_known() -> World:
    world = served(spec=spec_of(SHADOW))
    world.gateway_classes = (GatewayClass("plain", "example.com/controller"),)
    world.image("fraud:v2")
    ends(world, Phase.STABLE)
    return world


@pytest.mark.parametrize(
    ("features", "stage", "check", "missing"),
    [
        (set(), SHADOW, None, mirroring.ALL),
        ({mirroring.ALL}, SHADOW, None, mirroring.SOME),
        ({mirroring.ALL}, {"shadow": {"percent": 100}}, None, ""),
        ({mirroring.ALL}, CANARY, None, ""),
        ({mirroring.ALL, mirroring.SOME}, SHADOW, None, ""),
        ({mirroring.ALL, mirroring.SOME}, SHADOW, {"agreement": {}}, mirroring.SEVERAL),
        ({mirroring.ALL, mirroring.SEVERAL}, {"shadow": {"percent": 100}}, {"agreement": {}}, mirroring.SOME),
        ({mirroring.ALL, mirroring.SOME, mirroring.SEVERAL}, SHADOW, {"agreement": {}}, ""),
    ],
)
def test_what_a_trial_needs_of_a_gateway(features: set[str], stage: Any, check: Any, missing: str) -> None:
    """One class that can do everything does not help where another Gateway of the model cannot."""
    spec = spec_of(stage)
    if check is not None:
        spec["analysis"]["checks"] = [{"name": "same", **check}]
    world = served(spec=spec)
    world.gateway_classes = (
        GatewayClass("envoy", "gateway.envoyproxy.io/gatewayclass-controller"),
        GatewayClass("plain", "example.com/controller", frozenset({"HTTPRoute", *features})),
    )
    new = world.image("fraud:v2")
    world.run(10)
    stalled = next(c for c in world.status.conditions if c.type == "Stalled")
    assert (stalled.reason == "CannotMirror") is bool(missing)
    assert (world.ready(new) > 0) is not bool(missing)
    assert missing in stalled.message


@story
def shadow_accepts_by_itself() -> World:
    world = served(spec=spec_of(SHADOW))
    new = world.image("fraud:v2")
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@story
def shadow_then_blue_green() -> World:
    world = served(spec=spec_of(SHADOW, PREVIEW))
    new = world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.phase is Phase.BLUE_GREEN)
    assert world.run(120, until=lambda w: w.ready(new) == 4), "full size before the flip"
    assert world.weight(new) == 0
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@story
def promote_does_not_skip_the_verdict_of_the_shadow() -> World:
    """Two shadows and a flip: to skip goes to the second shadow, where acceptance is judged."""
    second = {"shadow": {"percent": 50, "minDuration": "2m"}}
    world = served(spec=spec_of(SHADOW, second, PREVIEW))
    new = world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.phase is Phase.SHADOW)
    world.command(Action.PROMOTE, new)
    world.run(20)
    assert world.status.traffic.mirror is not None
    assert world.status.traffic.mirror.percent == 50
    ends(world, Phase.STABLE)
    return world


@story
def a_default_probation_passes_on_what_can_be_judged() -> World:
    """Without a holdback latency has nothing to be compared with; the ceiling of errors can be held."""
    world = served(spec=spec_of(CANARY, probation={"duration": "2m"}))
    world.image("fraud:v2")
    ends(world, Phase.STABLE)
    assert world.status.history[0].probation == "Pass"
    return world


@story
def blue_green_waits_for_a_person() -> World:
    spec = spec_of(APPROVED)
    spec["traffic"]["preview"] = {"header": "x-preview"}
    world = served(spec=spec)
    new = world.image("fraud:v2")
    assert world.run(300, until=waits)
    world.run(600)
    assert world.weight(new) == 0
    rules = world.objects[Ref("HTTPRoute", NAME)]["spec"]["rules"]
    assert rules[1]["matches"][0]["headers"][0]["name"] == "x-preview"
    assert rules[1]["backendRefs"][0]["name"].endswith(new), "the header leads to the candidate"
    preview = world.objects[Ref("Service", f"{NAME}-preview")]
    assert preview["spec"]["selector"]["seatrial.dev/revision"] == new
    world.command(Action.APPROVE, new)
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@story
def blue_green_without_an_address() -> World:
    """Nothing in the route changes before the flip, and the trial goes on all the same."""
    world = served(spec=spec_of(APPROVED))
    new = world.image("fraud:v2")
    assert world.run(300, until=waits)
    world.command(Action.APPROVE, new)
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


def waits(world: World) -> bool:
    rollout = world.status.rollout
    return rollout is not None and rollout.overlay is not None and rollout.overlay.kind is OverlayKind.AWAITING_APPROVAL


@story
def probation_passes() -> World:
    world = served(spec=spec_of(CANARY, probation={"duration": "5m", "keep": "Warm", "holdback": 10}))
    old, new = world.status.stable, world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.phase is Phase.PROBATION)
    world.run(60)
    assert world.weight(str(old)) == PARTS // 10, "the holdback answers"
    assert world.ready(str(old)) == 1, "one warm pod is enough for it"
    world.tell(world.status.kept)
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    assert world.status.history[0].probation == "Pass"
    assert world.ready(str(old)) == 0
    return world


@story
def probation_without_holdback_is_undecided_without_requests() -> World:
    world = served(spec=spec_of(CANARY, probation={"duration": "2m"}))
    world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.phase is Phase.PROBATION)
    world.prometheus.weather = world.prometheus.weather.__class__.DOWN
    ends(world, Phase.STABLE)
    assert world.status.history[0].probation == "Undecided"
    return world


@story
def errors_on_probation_bring_the_old_one_back() -> World:
    world = served(spec=spec_of(CANARY, probation={"duration": "30m", "keep": "Full"}))
    old, new = world.status.stable, world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.phase is Phase.PROBATION)
    world.run(30)
    world.tell(world.status.kept)
    world.behaviours["fraud:v2"] = Behaviour(errors=0.5)
    ends(world, Phase.ROLLED_BACK)
    assert world.status.stable == old
    assert world.status.rejected is not None
    assert world.status.rejected.revision == new
    return world


@story
def back_to_the_revision_on_probation_by_the_spec() -> World:
    world = served(spec=spec_of(CANARY, probation={"duration": "30m"}))
    old = world.status.stable
    world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.phase is Phase.PROBATION)
    world.run(60)
    world.image("fraud:v1")
    ends(world, Phase.STABLE)
    assert world.status.stable == old
    return world


@story
def an_abort_on_probation() -> World:
    world = served(spec=spec_of(CANARY, probation={"duration": "30m"}))
    old, new = world.status.stable, world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.phase is Phase.PROBATION)
    world.run(60)
    world.command(Action.ABORT, new, reason="orders fell")
    ends(world, Phase.ROLLED_BACK)
    assert world.status.stable == old
    return world


@story
def a_new_revision_ends_the_probation() -> World:
    world = served(spec=spec_of(CANARY, probation={"duration": "30m", "holdback": 5}))
    world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.phase is Phase.PROBATION)
    world.run(60)
    third = world.image("fraud:v3")
    assert world.run(900, until=lambda w: w.status.stable == third)
    assert world.status.history[1].probation == "CutShort"
    return world


@story
def a_new_revision_waits_for_the_end_of_the_probation() -> World:
    world = served(spec=spec_of(CANARY, probation={"duration": "10m", "onNewRevision": "Wait"}))
    second = world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.phase is Phase.PROBATION)
    third = world.image("fraud:v3")
    world.run(300)
    assert world.status.stable == second
    assert not world.ready(third)
    assert world.run(1200, until=lambda w: w.status.stable == third)
    return world


@story
def the_window_closes_in_mid_trial() -> World:
    """The world begins at nine on a Monday; a failure at night sends the candidate back all the same."""
    window = {"days": ["Mon", "Tue"], "from": "08:00", "to": "09:02"}
    world = served(spec=spec_of(CANARY, windows=[window]))
    new = world.image("fraud:v2")
    assert world.run(400, until=frozen)
    weight = world.weight(new)
    world.run(3600)
    assert world.weight(new) == weight, "nothing rises at night"
    world.behaviours["fraud:v2"] = Behaviour(errors=0.5)
    ends(world, Phase.ROLLED_BACK)
    return world


@story
def a_trial_waits_for_its_window() -> World:
    window = {"days": ["Mon"], "from": "10:00", "to": "18:00"}
    world = served(spec=spec_of(CANARY, windows=[window]))
    new = world.image("fraud:v2")
    assert world.run(400, until=frozen)
    assert world.weight(new) == 0
    ends(world, Phase.STABLE, 5000)
    assert world.status.stable == new
    return world


def frozen(world: World) -> bool:
    rollout = world.status.rollout
    return rollout is not None and rollout.overlay is not None and rollout.overlay.kind is OverlayKind.FROZEN


@story
def the_namespace_is_frozen_in_mid_trial() -> World:
    """Nothing rises, a hotfix without checks does not either; it goes on as soon as the annotation is taken off."""
    world = served(spec=spec_of(CANARY))
    new = world.image("fraud:v2")
    assert world.run(400, until=lambda w: w.weight(new) > 1)
    world.freezes("year-end closing")
    world.run(600)
    assert frozen(world)
    weight = world.weight(new)
    world.tell(world.status.message)
    world.command(Action.SKIP_CHECKS, new, reason="fraud wave")
    world.run(300)
    assert world.weight(new) == weight
    world.freezes("")
    assert world.run(20, until=lambda w: w.weight(new) > weight)
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@story
def a_frozen_candidate_that_fails_goes_back() -> World:
    world = served(spec=spec_of(CANARY))
    world.freezes("year-end closing")
    new = world.image("fraud:v2")
    assert world.run(120, until=frozen)
    assert world.weight(new) == 0
    world.freezes("")
    assert world.run(300, until=lambda w: w.status.weight == "50")
    world.freezes("year-end closing")
    world.run(60)
    world.behaviours["fraud:v2"] = Behaviour(errors=0.5)
    ends(world, Phase.ROLLED_BACK)
    return world


@story
def a_trial_waits_for_its_turn() -> World:
    world = served(spec=spec_of(CANARY))
    world.turn = "1 of 1 trials run in namespace models: models/other"
    new = world.image("fraud:v2")
    world.run(120)
    assert world.ready(new) == 0
    assert "queuedSince" in world.resource["status"]
    world.tell(world.status.message)
    world.turn = ""
    assert world.run(20, until=lambda w: w.status.rollout is not None)
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    assert "queuedSince" not in world.resource["status"]
    return world


@story
def undecided_pauses() -> World:
    steps = [{"weight": 5, "minDuration": "1m", "maxDuration": "3m"}]
    world = served(spec=spec_of({"canary": {"steps": steps}}), rate=2)
    world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.paused is not None)
    world.tell(world.status.message)
    return world


@story
def undecided_goes_back() -> World:
    steps = [{"weight": 5, "minDuration": "1m", "maxDuration": "3m"}]
    world = served(spec=spec_of({"canary": {"steps": steps}}, onUndecided="Rollback"), rate=2)
    world.image("fraud:v2")
    ends(world, Phase.ROLLED_BACK)
    return world


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    check_story(name, TOLD[name]())
