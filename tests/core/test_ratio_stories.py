"""Trials without a gateway, told as stories: pods are weights; see `test_stories.py`."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.api.status import PARTS, OverlayKind, Phase
from seatrial.build.names import REVISION_LABEL, child_name
from seatrial.core import plan, routers, traffic
from seatrial.core.commands import Action
from seatrial.core.state import Manifest, Ref
from tests.core.test_stories import check_story, ends, served
from tests.sim.world import NAME, Behaviour, World, base_spec

TOLD: dict[str, Any] = {}
SERVICE = Ref("Service", NAME)


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


def by_pods(*stages: dict[str, Any], replicas: int = 9, **strategy: Any) -> dict[str, Any]:
    """A spec without a gateway: ten percent is the least that one pod beside nine gets."""
    strategy.setdefault("probation", {"duration": "0s"})
    spec = base_spec(replicas=replicas, strategy={"stages": list(stages or (CANARY,)), **strategy})
    spec["traffic"] = {"replicaRatio": {}, "drain": "30s", "preview": {}}
    return spec


CANARY = {"canary": {"steps": [{"weight": weight, "minDuration": "1m"} for weight in (5, 25, 50)]}}
APPROVED = {"blueGreen": {"minDuration": "1m", "approval": {"when": "ToLeave"}}}


def selected(world: World) -> str | None:
    """The one revision that the Service leads to; None while it leads to every pod."""
    found: str | None = world.objects[SERVICE]["spec"]["selector"].get(REVISION_LABEL)
    return found


@story
def ratio_canary() -> World:
    world = served(spec=by_pods())
    new = world.image("fraud:v2")
    seen: dict[str, int] = {}

    def look(w: World, _: object) -> None:
        seen.setdefault(w.status.weight, w.ready(new))

    world.watchers.append(look)
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    assert selected(world) == new
    assert {"10", "25", "50"} <= set(seen), "what is said is what one pod in ten gets"
    assert (seen["10"], seen["25"]) == (1, 3)
    assert Ref("HTTPRoute", NAME) not in world.objects
    assert world.status.url == "http://fraud.models.svc"
    return world


@story
def ratio_bad_model_goes_back() -> World:
    world = served(spec=by_pods())
    new = world.image("fraud:v2", Behaviour(errors=0.3))
    ends(world, Phase.ROLLED_BACK)
    assert selected(world) == world.status.stable
    assert world.served[new] > 0, "it was judged on what it answered"
    return world


@story
def ratio_abort() -> World:
    world = served(spec=by_pods())
    new = world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.weight == "25")
    pods = world.ready(new)
    world.command(Action.ABORT, new, reason="looks odd")
    world.step()
    assert selected(world) == world.status.stable, "the address leaves the candidate first"
    assert world.ready(new) == pods, "and its pods go on answering whom they have"
    ends(world, Phase.ROLLED_BACK)
    assert world.ready(new) == 0
    return world


@story
def ratio_pods_crash_in_the_canary() -> World:
    world = served(spec=by_pods(), lossless=False)
    world.image("fraud:v2", Behaviour(crash_after=40))
    ends(world, Phase.ROLLED_BACK)
    assert selected(world) == world.status.stable
    return world


@story
def ratio_paused_while_pods_start() -> World:
    """Pods that get ready would raise the weight, so none is started while nothing may rise."""
    world = served(spec=by_pods())
    new = world.image("fraud:v2", Behaviour(start=20))
    assert world.run(300, until=lambda w: w.status.rollout is not None and w.status.rollout.step == 1)
    world.command(Action.PAUSE, new)
    world.run(60)
    assert world.status.rollout is not None
    assert world.status.rollout.overlay is not None
    assert world.status.rollout.overlay.kind is OverlayKind.PAUSED
    assert (world.status.weight, world.ready(new)) == ("10", 1)
    world.command(Action.RESUME, new)
    ends(world, Phase.STABLE)
    return world


@story
def ratio_blue_green() -> World:
    world = served(spec=by_pods(APPROVED, replicas=4))
    old, new = world.status.stable, world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.rollout is not None and w.status.rollout.confirmed_at is not None)
    assert world.objects[Ref("Service", child_name(NAME, "preview"))]["spec"]["selector"][REVISION_LABEL] == new
    assert world.run(200, until=lambda w: "approve" in w.status.message)
    assert (selected(world), world.ready(new)) == (old, 4)
    assert world.served[new] == 0
    world.command(Action.APPROVE, new)
    wide: list[bool] = []
    world.watchers.append(lambda w, _: wide.append(selected(w) is None))
    ends(world, Phase.STABLE)
    assert selected(world) == new
    assert not any(wide), "a flip is one write"
    return world


@story
def ratio_flip_back_in_the_probation() -> World:
    spec = by_pods(APPROVED, replicas=4, probation={"duration": "1h", "keep": "Full"})
    world = served(spec=spec)
    old, new = world.status.stable, world.image("fraud:v2")
    assert world.run(300, until=lambda w: "approve" in w.status.message)
    world.command(Action.APPROVE, new)
    assert world.run(200, until=lambda w: w.status.phase is Phase.PROBATION)
    assert selected(world) == new
    world.image("fraud:v1")
    world.run(3)
    assert selected(world) == old
    ends(world, Phase.STABLE)
    return world


@story
def ratio_back_to_a_warm_revision() -> World:
    """One pod of it is left: the others start first, and the Service opens meanwhile."""
    world = served(spec=by_pods(probation={"duration": "1h", "keep": "Warm"}))
    old, _ = world.status.stable, world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.phase is Phase.PROBATION and w.ready(str(old)) == 1)
    world.image("fraud:v1")
    ends(world, Phase.STABLE)
    assert selected(world) == old
    return world


@story
def ratio_another_image_in_the_canary() -> World:
    """The third revision's pods start only when the Service leads to stable alone again."""
    world = served(spec=by_pods())
    second = world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.weight == "25")
    third = world.image("fraud:v3")
    ends(world, Phase.STABLE)
    assert world.status.stable == third
    assert world.ready(second) == 0
    return world


@story
def ratio_selector_edited_by_hand() -> World:
    world = served(spec=by_pods(), hands_off=False)

    def nobody(service: Manifest) -> None:
        service["spec"]["selector"] = {"app": "x"}

    world.hand_edit(SERVICE, nobody)
    world.run(2)
    assert selected(world) == world.status.stable
    new = world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.weight == "25")
    confirmed = world.status.rollout
    world.hand_edit(SERVICE, nobody)
    world.run(5)
    assert selected(world) is None
    assert world.status.rollout is not None
    assert confirmed is not None
    assert world.status.rollout.confirmed_at == confirmed.confirmed_at, "the weight and its clock are kept"
    ends(world, Phase.STABLE)
    assert world.status.stable == new
    return world


@story
def ratio_with_few_pods() -> World:
    """One pod beside two: more than was asked, and said wherever the weight is said."""
    stage = {
        "canary": {"steps": [{"weight": 5, "minDuration": "1m"}, {"weight": 50, "minDuration": "1m"}], "scale": "1"}
    }
    world = served(spec=by_pods(stage, replicas=2))
    world.image("fraud:v2")
    assert world.run(100, until=lambda w: w.status.weight == "33.3")
    assert any("33.3 % (1 of 3 pods, 5 % was asked)" in line for line in world.story)
    ends(world, Phase.STABLE)
    return world


@story
def ratio_stable_lacks_a_pod() -> World:
    """Fewer pods of stable raise the candidate's share: nothing more is begun, and status says why."""
    world = served(spec=by_pods(), lossless=False)
    old, _ = world.status.stable, world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.weight == "10")
    broken = next(pod for pod in world.pods if pod.revision == old)
    broken.killed = True
    world.run(120)
    assert world.status.rollout is not None
    assert world.status.rollout.step == 0
    assert "8 of 9 ready pods" in world.status.message
    broken.killed = False
    ends(world, Phase.STABLE)
    return world


@story
def ratio_autoscaled_in_the_canary() -> World:
    world = served(spec=by_pods())
    new = world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.weight == "25")
    world.edit(lambda spec: spec.update(replicas=18))
    assert world.run(60, until=lambda w: w.weight(new) == PARTS // 4 and w.ready(new) == 6), "a quarter of more pods"
    ends(world, Phase.STABLE)
    assert world.ready(new) == 18
    return world


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    """The world ends as it should, and the story is the one on file."""
    check_story(name, TOLD[name]())


def test_strangers_at_an_open_service_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What keeps others' pods away is what the invariants hold: without it they say so."""
    monkeypatch.setattr(routers, "in_the_way", lambda _p, _status: "")
    with pytest.raises(AssertionError, match="beside a="):
        ratio_another_image_in_the_canary()


def test_pods_that_go_before_the_endpoints_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A candidate that is removed while nodes still send to it would lose requests."""
    monkeypatch.setattr(plan, "drained", lambda *_: True)
    monkeypatch.setattr(plan, "read", _believing(traffic.read))
    with pytest.raises(AssertionError, match="is removed while a proxy names it"):
        ratio_bad_model_goes_back()


def _believing(original: Any) -> Any:
    """Reads that take what was written for what is in force."""

    def read(*args: Any, **options: Any) -> Any:
        reading = original(*args, **options)
        done = reading.status.model_copy(update={"confirmed": reading.status.wanted, "unsettled_since": None})
        return traffic.Reading(done, settled=True)

    return read


def test_another_port_is_no_canary_without_a_gateway() -> None:
    """One Service sends to one port."""
    world = served(spec=by_pods())
    world.edit(lambda spec: spec.update(port=9000))
    world.run(60)
    assert world.status.rollout is None
    assert "keep port 8080, or change it in a trial with blueGreen" in world.status.message


def test_the_router_waits_for_the_end_of_a_trial() -> None:
    """Where admission was not asked, nothing is changed, and the way out is said."""
    world = served(spec=by_pods())
    world.image("fraud:v2")
    assert world.run(300, until=lambda w: w.status.weight == "25")
    writes = world.writes
    world.edit(lambda spec: spec.update(traffic={"hostnames": ["fraud.example.com"], "drain": "30s"}))
    world.reconcile()
    assert world.writes == writes
    assert "GatewayAPI cannot take over" in world.status.message
    world.edit(lambda spec: spec.update(traffic={"replicaRatio": {}, "drain": "30s"}))
    ends(world, Phase.STABLE)


def test_from_a_gateway_to_pods_at_rest() -> None:
    """The route goes, and the Service leads to stable as it always did."""
    world = served(spec=base_spec())
    world.edit(lambda spec: spec.update(traffic={"replicaRatio": {}, "drain": "30s"}))
    world.run(60)  # a proxy that still answers is waited for
    assert Ref("HTTPRoute", NAME) not in world.objects
    assert selected(world) == world.status.stable


def test_from_pods_to_a_gateway_at_rest() -> None:
    world = served(spec=by_pods())
    world.edit(lambda spec: spec.update(traffic={"hostnames": ["fraud.example.com"], "drain": "30s"}))
    world.run(30)
    assert world.weight(str(world.status.stable)) >= PARTS - 1
    assert selected(world) == world.status.stable
    world.image("fraud:v2")
    ends(world, Phase.STABLE)


def test_an_idle_resource_costs_no_write() -> None:
    """At rest, an hour passes without a write and without a pass."""
    world = served(spec=by_pods())
    world.run(60)
    writes, statuses, passes = world.writes, world.status_writes, world.watchers[0].passes  # type: ignore[attr-defined]
    world.run(3600)
    assert (world.writes, world.status_writes) == (writes, statuses)
    assert world.watchers[0].passes == passes  # type: ignore[attr-defined]
