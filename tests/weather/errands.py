"""What people want during a voyage: the revision they apply, and what they do while it is on trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seatrial.api.status import OverlayKind, Phase
from seatrial.core.commands import Action
from tests.sim.world import Behaviour, World
from tests.weather.strategies import last_step

CANDIDATE, NEXT = "fraud:v2", "fraud:v3"
Spec = dict[str, Any]
When = Callable[[World], bool]


@dataclass(frozen=True)
class Deed:
    """Something a person does, once `when` holds."""

    when: When
    do: Callable[[World], object]
    again: bool = False
    """As often as it holds, every `PATIENCE` seconds."""


PATIENCE = 15


@dataclass(frozen=True, eq=False)
class Errand:
    """One trial as people see it."""

    name: str
    behaviour: Behaviour = field(default_factory=Behaviour)
    spec: Callable[[Spec], None] = lambda _spec: None
    """What is different in the spec, from the beginning."""
    deeds: tuple[Deed, ...] = ()
    first: bool = False
    """The candidate is the first revision of all."""
    loses: bool = False
    """The candidate itself loses requests: it crashes while it has traffic."""


def on_trial(world: World) -> bool:
    return world.status.rollout is not None


def exposed(world: World) -> bool:
    rollout = world.status.rollout
    return rollout is not None and rollout.exposed and rollout.confirmed_at is not None and rollout.back is None


def later(world: World) -> bool:
    """The second exposure or beyond."""
    rollout = world.status.rollout
    return exposed(world) and rollout is not None and rollout.step >= 1


def rejected(world: World) -> bool:
    return world.status.rejected is not None


def phase(wanted: Phase) -> When:
    return lambda world: world.status.phase is wanted


def waits(kind: OverlayKind) -> When:
    def when(world: World) -> bool:
        rollout = world.status.rollout
        return rollout is not None and rollout.overlay is not None and rollout.overlay.kind is kind

    return when


def rests(world: World) -> bool:
    """The candidate was accepted, and nothing else is on the route."""
    status = world.status
    held = {status.traffic.slots.a, status.traffic.slots.b} - {None}
    return status.phase is Phase.STABLE and held == {world.wanted} and world.quiet


def obeyed(world: World) -> bool:
    """The operator has read what was asked of it."""
    return all(line.split()[0] in world.status.commands for line in world.asked)


def in_a_drill(world: World) -> bool:
    """The copy has met traffic, or there is no drill after all."""
    return obeyed(world) and (exposed(world) or world.status.phase is not Phase.DRILL)


def asks_for_a_drill(world: World) -> None:
    world.command(Action.DRILL, str(world.status.stable))


def says(action: Action) -> Callable[[World], object]:
    def do(world: World) -> None:
        status = world.status
        revision = status.candidate or (status.rejected.revision if status.rejected else world.wanted)
        world.command(action, revision)

    return do


def applies(image: str) -> Callable[[World], object]:
    return lambda world: world.image(image)


def changes(**fields: Any) -> Callable[[World], object]:
    def do(world: World) -> None:
        world.edit(lambda spec: spec.update(fields))
        world.tell(f"kubectl: {fields}")

    return do


def other_weights(world: World) -> None:
    def change(spec: Spec) -> None:
        for stage in spec["strategy"]["stages"]:
            if "canary" in stage:
                stage["canary"]["steps"] = [{"weight": weight, "minDuration": "20s"} for weight in (2, 10, 30)]

    world.edit(change)
    world.tell("kubectl: steps 2, 10, 30")


def _golden(spec: Spec) -> None:
    spec["preflight"] = {"requests": {"configMapRef": {"name": "golden"}}}


def _approval(spec: Spec) -> None:
    step = last_step(spec)
    if step is not None:
        step["approval"] = {"when": "ToEnter"}


_bad = Behaviour(errors=1.0)

ERRANDS: tuple[Errand, ...] = (
    Errand("a healthy revision"),
    Errand("errors from the first request", _bad),
    Errand("errors at a higher weight", Behaviour(errors=0.4, errors_from=900)),
    Errand("slow answers", Behaviour(slow=0.7)),
    Errand("crashes at its start", Behaviour(start=10, crash_after=2)),
    Errand("crashes in mid-trial", Behaviour(crash_after=70), loses=True),
    Errand("an image that cannot be had", Behaviour(image_error="manifest unknown")),
    Errand("never ready", Behaviour(start=1e9)),
    Errand("preflight passes", spec=_golden),
    Errand("preflight finds a difference", Behaviour(preflight="row 3: expected 1, got 0"), spec=_golden),
    Errand(
        "an approval", spec=_approval, deeds=(Deed(waits(OverlayKind.AWAITING_APPROVAL), says(Action.APPROVE), True),)
    ),
    Errand("aborted", deeds=(Deed(later, says(Action.ABORT)),)),
    Errand("aborted and tried again", deeds=(Deed(exposed, says(Action.ABORT)), Deed(rejected, says(Action.RETRY)))),
    Errand("promoted by a person", deeds=(Deed(exposed, says(Action.PROMOTE)),)),
    Errand(
        "paused and resumed",
        deeds=(Deed(later, says(Action.PAUSE)), Deed(waits(OverlayKind.PAUSED), says(Action.RESUME), True)),
    ),
    Errand(
        "somebody freezes the namespace",
        deeds=(
            Deed(later, lambda world: world.freezes("year-end closing")),
            Deed(waits(OverlayKind.FROZEN), lambda world: world.freezes("")),
        ),
    ),
    Errand("superseded", _bad, deeds=(Deed(exposed, applies(NEXT)),)),
    Errand("superseded before any traffic", Behaviour(start=30), deeds=(Deed(on_trial, applies(NEXT)),)),
    Errand("back to stable by the spec", deeds=(Deed(later, applies("fraud:v1")),)),
    Errand("other steps", deeds=(Deed(later, other_weights),)),
    Errand("more replicas", deeds=(Deed(later, changes(replicas=6)),)),
    Errand(
        "suspended", deeds=(Deed(later, changes(suspend=True)), Deed(phase(Phase.SUSPENDED), changes(suspend=False)))
    ),
    Errand(
        "parked", deeds=(Deed(later, changes(replicas=0)), Deed(phase(Phase.PARKED), changes(replicas=4))), loses=True
    ),
    Errand("somebody asks for a drill", deeds=(Deed(rests, asks_for_a_drill),)),
    Errand(
        "a new revision in a drill",
        deeds=(Deed(rests, asks_for_a_drill), Deed(in_a_drill, applies(NEXT))),
    ),
    Errand("a first revision", first=True),
    Errand("a first revision that crashes", Behaviour(start=10, crash_after=1), first=True),
)
"""What sails. An errand that another strategy calls for is one more line."""
