"""Invariants under random order: whatever happens, in whatever order, nothing forbidden does.

A seed is a whole voyage: time passes, pods die, Prometheus fails, people edit and command, the operator
dies between its writes and its status, writes conflict, the gateway is away. After every pass the
invariants hold; in calm water the world ends where the spec says.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from seatrial.api.status import PARTS, Phase
from seatrial.build.names import child_name
from seatrial.core.commands import Action
from seatrial.core.state import Manifest, Ref
from tests.sim.invariants import Invariants
from tests.sim.prometheus import Weather
from tests.sim.world import NAME, Behaviour, World, base_spec, settled

Move = Callable[[World], None]


def new_image(world: World) -> None:
    kinds = [Behaviour(), Behaviour(), Behaviour(errors=0.3), Behaviour(start=20), Behaviour(slow=0.6)]
    kinds += [Behaviour(start=10, crash_after=2), Behaviour(errors=0.5, errors_from=2000)]
    number = world.random.randrange(2, 99)
    world.image(f"fraud:v{number}", world.random.choice(kinds))


def first_image(world: World) -> None:
    world.image("fraud:v1")


def prometheus(world: World) -> None:
    world.prometheus.weather = world.random.choice(list(Weather))


def gateway(world: World) -> None:
    world.gateway_up = not world.gateway_up


def operator_away(world: World) -> None:
    world.operator_up = not world.operator_up


def dies_before_status(world: World) -> None:
    world.crash_after_apply = True


def write_conflicts(world: World) -> None:
    world.conflict_next = True


def quota(world: World) -> None:
    world.quota = "" if world.quota else "exceeded quota: pods"


def candidate_dies(world: World) -> None:
    candidate = world.status.candidate
    if candidate is not None:
        world.kill_pods(candidate)


def replicas(world: World) -> None:
    count = world.random.choice((2, 3, 4, 6))
    world.edit(lambda spec: spec.update(replicas=count))


def steps(world: World) -> None:
    weights = sorted(world.random.sample(range(1, 80), world.random.randrange(1, 5)))
    picked = [{"weight": w, "minDuration": "30s"} for w in weights]
    world.edit(lambda spec: spec["strategy"]["stages"][0]["canary"].update(steps=picked))


def commands(world: World) -> None:
    status = world.status
    revision = status.candidate or (status.rejected.revision if status.rejected else "0123456789")
    world.command(world.random.choice(list(Action)), revision, reason="a squall")


def lag(world: World) -> None:
    world.proxy_lag = [world.random.uniform(0, 1.5) for _ in range(3)]


MOVES: tuple[Move, ...] = (
    new_image,
    new_image,
    first_image,
    prometheus,
    gateway,
    operator_away,
    dies_before_status,
    write_conflicts,
    quota,
    candidate_dies,
    replicas,
    steps,
    commands,
    commands,
    lag,
)


def weights_by_hand(world: World) -> None:
    def change(route: Manifest) -> None:
        first = world.random.randrange(PARTS + 1)
        refs = route["spec"]["rules"][0]["backendRefs"]
        refs[0]["weight"], refs[1]["weight"] = first, PARTS - first

    if Ref("HTTPRoute", NAME) in world.objects:
        world.hand_edit(Ref("HTTPRoute", NAME), change)


def template_by_hand(world: World) -> None:
    refs = [ref for ref in world.objects if ref.kind == "Deployment"]
    if refs:

        def change(deployment: Manifest) -> None:
            deployment["spec"]["template"]["metadata"]["annotations"] = {"x": str(world.random.random())}

        world.hand_edit(world.random.choice(refs), change)


def delete_by_hand(world: World) -> None:
    refs = sorted(world.objects, key=str)
    if refs:
        world.hand_delete(world.random.choice(refs))


def wipe_status(world: World) -> None:
    world.resource["status"] = {}
    world._seen = None


HANDS: tuple[Move, ...] = (*MOVES, weights_by_hand, template_by_hand, delete_by_hand, wipe_status)


def calm(world: World) -> None:
    """The weather clears, and a healthy revision is wanted."""
    world.prometheus.weather = Weather.FINE
    world.gateway_up = world.operator_up = True
    world.quota = ""
    world.conflict_next = world.crash_after_apply = False
    world._seen = None
    world.image("fraud:v100", Behaviour())

    def free(w: World) -> bool:
        if w.status.paused is not None and w.status.candidate is not None and int(w.now.timestamp()) % 20 == 0:
            w.command(Action.RESUME, w.status.candidate)
        return settled(w) and w.status.stable == w.wanted

    assert world.run(3000, until=free), f"{world.status.phase}: {world.status.message}"
    world.run(90)
    assert world.status.phase is Phase.STABLE
    stable = str(world.status.stable)
    left = {ref.name for ref in world.objects}
    assert left == {NAME, child_name(NAME, stable)}, f"left behind: {left}"


def voyage(seed: int, moves: tuple[Move, ...], *, hands_off: bool) -> World:
    world = World(seed=seed, spec=base_spec())
    world.watchers.append(Invariants(hands_off=hands_off, lossless=False))
    world.image("fraud:v1")
    world.run(40, until=settled)
    world.run(20)
    for _ in range(40):
        world.random.choice(moves)(world)
        world.run(world.random.choice((1, 2, 3, 7, 20, 45, 70)))
    calm(world)
    return world


VOYAGES = 5 if os.environ.get("SEATRIAL_TESTS") == "quick" else 30


@pytest.mark.parametrize("seed", range(VOYAGES))
def test_any_order_without_hand_edits(seed: int) -> None:
    """Not one request is lost, and every invariant holds after every pass."""
    world = voyage(seed, MOVES, hands_off=True)
    structural = {kind for kind in world.lost if not kind.startswith("no pod behind")}
    assert not structural, f"lost: {dict(world.lost)}"


@pytest.mark.parametrize("seed", range(100, 100 + VOYAGES))
def test_any_order_with_hand_edits(seed: int) -> None:
    """Somebody edits and deletes what is ours as well: it comes back, and the world ends where it should."""
    voyage(seed, HANDS, hands_off=False)
