"""What can happen, as a table: how it begins, how it ends, and what it may cost.

A fault is aimed at a transition: it begins in the very pass that persists it, at one of the fault's
moments. A fault that finds nothing to happen to (no such object, nothing is written) returns False, and is
not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Flag, auto

from seatrial.api.status import PARTS, Status
from seatrial.build.names import child_name
from seatrial.core.state import Manifest, Plan, Ref
from tests.sim.prometheus import Weather
from tests.sim.upgrade import older, upgraded
from tests.sim.world import NAME, Behaviour, Moment, PassEnds, World, WriteFails
from tests.weather.errands import NEXT


class Cost(Flag):
    """What a fault may cost. Whatever it costs beyond that is a violation."""

    NOTHING = 0
    REQUESTS = auto()
    """Requests may be lost: what answers them, or the way to it, is taken away."""
    TRIAL = auto()
    """A healthy candidate may be sent back."""
    OUTCOME = auto()
    """Something else is wanted now, or everything begins anew: any orderly end will do."""
    SHAPE = auto()
    """Objects may end in another form than in an undisturbed run: another size, another version's work."""
    OURS = auto()
    """Objects of ours are not as we wrote them, until they are put back."""


@dataclass(frozen=True)
class Situation:
    """Where a fault may begin."""

    world: World
    plan: Plan
    before: Status
    moment: Moment

    @property
    def candidate(self) -> str | None:
        """The revision on trial, before this pass or after it."""
        return self.before.candidate or self.plan.status.candidate

    @property
    def stable(self) -> str | None:
        """The revision that serves."""
        return self.before.stable


Begin = Callable[[Situation], bool]
End = Callable[[World], None]

EARLY, LATE = (Moment.DECIDED,), (Moment.STORED,)
EITHER = (Moment.DECIDED, Moment.STORED)


@dataclass(frozen=True)
class Fault:
    """One thing that can happen."""

    name: str
    begin: Begin
    moments: tuple[Moment, ...] = EITHER
    lasts: float = 0.0
    """Seconds until `end`."""
    end: End = lambda _world: None
    cost: Cost = Cost.NOTHING
    writes: bool = False
    """It needs something to be written in that pass."""
    by_pods: Cost = Cost.NOTHING
    """What it costs besides where clients use the model's Service itself."""


# --- the operator, and the API server between it and the cluster ---------------------------------------


def dies(_: Situation) -> bool:
    raise PassEnds(0.0, died=True)


def loses_the_answer_and_dies(_: Situation) -> bool:
    raise PassEnds(0.0, died=True, stored=True)


def is_upgraded(s: Situation) -> bool:
    s.world.renders = upgraded
    raise PassEnds(0.0, died=True)


def is_away(s: Situation) -> bool:
    s.world.operator_up = False
    raise PassEnds(0.0, died=True)


def is_back(world: World) -> None:
    world.operator_up = True
    world.kill_operator()


def is_downgraded(world: World) -> None:
    world.renders = older
    world.kill_operator()


def conflict(_: Situation) -> bool:
    raise PassEnds(1.0)


def busy(_: Situation) -> bool:
    raise PassEnds(5.0)


def write_fails(_: Situation) -> bool:
    raise WriteFails("the server is currently unable to handle the request")


def write_is_lost(_: Situation) -> bool:
    raise WriteFails("no answer within 10 s", stored=True)


def another_operator(s: Situation) -> bool:
    """A second one that believes to lead makes a whole pass between our look and our writes."""
    ours, s.world.ledger = s.world.ledger, type(s.world.ledger)()
    s.world.nested(s.world.reconcile)
    s.world.ledger = ours
    return True


# --- what is around ---------------------------------------------------------------------------------------


def prometheus(weather: Weather) -> Begin:
    def begin(s: Situation) -> bool:
        s.world.prometheus.weather = weather
        return True

    return begin


def prometheus_is_fine(world: World) -> None:
    world.prometheus.weather = Weather.FINE


def gateway_down(s: Situation) -> bool:
    s.world.gateway_up = False
    return True


def gateway_up(world: World) -> None:
    world.gateway_up = True


def proxy_paused(s: Situation) -> bool:
    s.world.proxy_lag[s.world.random.randrange(3)] = 5.0
    return True


def proxy_goes_on(world: World) -> None:
    world.proxy_lag = [0.1, 0.4, 1.2]


def kills(role: str, *, every: bool) -> Begin:
    def begin(s: Situation) -> bool:
        revision = getattr(s, role)
        mine = [pod for pod in s.world.pods if pod.revision == revision and pod.gone_at is None]
        if not mine:
            return False
        dead = mine if every else mine[:1]
        s.world.pods = [pod for pod in s.world.pods if pod not in dead]
        return True

    return begin


def node_pressure(s: Situation) -> bool:
    """One pod of each revision is evicted, and there is no room for another."""
    dead = {pod.revision: pod for pod in s.world.pods if pod.gone_at is None}
    if not dead:
        return False
    for pod in dead.values():
        pod.gone_at = s.world.now
    s.world.quota = "exceeded quota: memory"
    return True


def pressure_ends(world: World) -> None:
    world.quota = ""


def clock(minutes: float) -> Begin:
    def begin(s: Situation) -> bool:
        s.world.skew = timedelta(minutes=minutes)
        s.world.wake_at = s.world.now
        return True

    return begin


def clock_is_right(world: World) -> None:
    world.skew = timedelta(0)
    world.wake_at = world.now


# --- people ---------------------------------------------------------------------------------------------------


def applies_another(s: Situation) -> bool:
    s.world.image(NEXT, Behaviour())
    return True


def applies_stable_again(s: Situation) -> bool:
    s.world.image("fraud:v1")
    return True


def scales(s: Situation) -> bool:
    s.world.edit(lambda spec: spec.update(replicas=5))
    return True


def scales_back(world: World) -> None:
    world.edit(lambda spec: spec.update(replicas=4))


def edits_the_steps(s: Situation) -> bool:
    def change(spec: Manifest) -> None:
        for stage in spec["strategy"]["stages"]:
            if "canary" in stage:
                stage["canary"]["steps"] = [{"weight": w, "minDuration": "20s"} for w in (1, 20, 40)]

    before = s.world.resource["spec"]
    s.world.edit(change)
    return s.world.resource["spec"] is not before


def edits_the_checks(s: Situation) -> bool:
    def change(spec: Manifest) -> None:
        spec["analysis"]["minSamples"] = 250

    s.world.edit(change)
    return True


def suspends(s: Situation) -> bool:
    s.world.edit(lambda spec: spec.update(suspend=True))
    return True


def goes_on(world: World) -> None:
    world.edit(lambda spec: spec.update(suspend=False))


def deletes_the_resource(s: Situation) -> bool:
    s.world.delete_resource()
    return True


def wipes_the_status(s: Situation) -> bool:
    s.world.resource["status"] = {}
    s.world._seen = None
    return True


# --- hands in our objects ---------------------------------------------------------------------------------


def _ref(s: Situation, kind: str, role: str) -> Ref | None:
    if role == "model":
        name: str | None = NAME
    else:
        revision = getattr(s, role)
        name = None if revision is None else child_name(NAME, revision)
    if name is None:
        return None
    return next((ref for ref in s.world.objects if ref.kind == kind and ref.name == name), None)


def edits(kind: str, role: str, change: Callable[[Manifest], None]) -> Begin:
    def begin(s: Situation) -> bool:
        ref = _ref(s, kind, role)
        if ref is None:
            return False
        s.world.hand_edit(ref, change)
        return True

    return begin


def deletes(kind: str, role: str) -> Begin:
    def begin(s: Situation) -> bool:
        ref = _ref(s, kind, role)
        if ref is None:
            return False
        s.world.hand_delete(ref)
        return True

    return begin


def _template(obj: Manifest) -> None:
    obj["spec"]["template"]["metadata"].setdefault("annotations", {})["seatrial.dev/edited"] = "by hand"


def _one_replica(obj: Manifest) -> None:
    obj["spec"]["replicas"] = 1


def _no_replicas(obj: Manifest) -> None:
    obj["spec"]["replicas"] = 0


def _selector(obj: Manifest) -> None:
    obj["spec"]["selector"] = {"app": "elsewhere"}


def _labels(obj: Manifest) -> None:
    obj["metadata"]["labels"]["seatrial.dev/note"] = "by hand"


def _half(obj: Manifest) -> None:
    for ref in obj["spec"]["rules"][0]["backendRefs"]:
        ref["weight"] = PARTS // 2


def _nobody(obj: Manifest) -> None:
    for ref in obj["spec"]["rules"][0]["backendRefs"]:
        ref["weight"] = 0


def _hands() -> Iterator[Fault]:
    gentle, cutting = Cost.OURS, Cost.OURS | Cost.REQUESTS
    for role in ("stable", "candidate"):
        cost = Cost.NOTHING if role == "stable" else Cost.TRIAL
        yield Fault(f"{role}: template edited", edits("Deployment", role, _template), cost=gentle)
        yield Fault(f"{role}: scaled to 1", edits("Deployment", role, _one_replica), cost=gentle)
        yield Fault(f"{role}: scaled to 0", edits("Deployment", role, _no_replicas), cost=cutting | cost)
        yield Fault(f"{role}: Deployment deleted", deletes("Deployment", role), cost=cutting | cost)
        yield Fault(f"{role}: record deleted", deletes("ControllerRevision", role), cost=gentle)
        yield Fault(f"{role}: record relabelled", edits("ControllerRevision", role, _labels), cost=gentle)
        yield Fault(f"{role}: Service deleted", deletes("Service", role), cost=cutting | cost)
        yield Fault(f"{role}: Service's selector edited", edits("Service", role, _selector), cost=cutting | cost)
    yield Fault("the model's Service deleted", deletes("Service", "model"), cost=gentle, by_pods=Cost.REQUESTS)
    yield Fault(
        "the model's Service's selector edited",
        edits("Service", "model", _selector),
        cost=gentle,
        by_pods=Cost.REQUESTS,
    )
    yield Fault("route: weights 50/50 by hand", edits("HTTPRoute", "model", _half), cost=cutting)
    yield Fault("route: weights 0/0 by hand", edits("HTTPRoute", "model", _nobody), cost=cutting)
    yield Fault("route deleted", deletes("HTTPRoute", "model"), cost=cutting)
    yield Fault("status wiped", wipes_the_status, LATE, cost=Cost.OUTCOME | Cost.OURS)


def _prometheus() -> Iterator[Fault]:
    kinds = {
        "refuses": Weather.DOWN,
        "is slow": Weather.SLOW,
        "times out": Weather.TIMES_OUT,
        "is empty": Weather.EMPTY,
        "says NaN": Weather.NAN,
        "is stale": Weather.STALE,
        "is partial": Weather.PARTIAL,
    }
    for word, weather in kinds.items():
        for minutes in (1, 5, 30):
            yield Fault(
                f"Prometheus {word} for {minutes} min", prometheus(weather), EITHER, minutes * 60, prometheus_is_fine
            )


WRITE, APPLIED = (Moment.WRITE,), (Moment.APPLIED,)

FAULTS: tuple[Fault, ...] = (
    Fault("operator dies before it writes", dies, EARLY),
    Fault("operator dies at a write", dies, WRITE, writes=True),
    Fault("operator dies, its write is carried out", loses_the_answer_and_dies, WRITE, writes=True),
    Fault("operator dies before the status", dies, APPLIED),
    Fault("operator dies before the events", dies, LATE),
    Fault("operator upgraded before it writes", is_upgraded, EARLY, 60, is_downgraded, Cost.SHAPE),
    Fault("operator upgraded before the status", is_upgraded, APPLIED, 60, is_downgraded, Cost.SHAPE),
    Fault("operator upgraded before the events", is_upgraded, LATE, 60, is_downgraded, Cost.SHAPE),
    Fault("operator away for 1 min", is_away, LATE, 60, is_back),
    Fault("operator away for 5 min", is_away, EARLY, 300, is_back),
    Fault("two operators at once", another_operator, EARLY),
    Fault("API 409 at a write", conflict, WRITE, writes=True),
    Fault("API 409 at the status", conflict, APPLIED),
    Fault("API 429 at a write", busy, WRITE, writes=True),
    Fault("API 500 at a write", write_fails, WRITE, writes=True),
    Fault("API 500 at the status", conflict, APPLIED),
    Fault("API hangs at a write, which is carried out", write_is_lost, WRITE, writes=True),
    Fault("API hangs at the status", busy, APPLIED),
    Fault("gateway controller down for 1 min", gateway_down, EITHER, 60, gateway_up, by_pods=Cost.REQUESTS),
    Fault("gateway controller down for 5 min", gateway_down, EITHER, 300, gateway_up, by_pods=Cost.REQUESTS),
    Fault("one proxy of three paused for 5 s", proxy_paused, EITHER, 30, proxy_goes_on, Cost.REQUESTS),
    Fault("a candidate pod killed", kills("candidate", every=False), EITHER, cost=Cost.TRIAL | Cost.REQUESTS),
    Fault("all candidate pods killed", kills("candidate", every=True), EITHER, cost=Cost.TRIAL | Cost.REQUESTS),
    Fault("a stable pod killed", kills("stable", every=False), EITHER, cost=Cost.REQUESTS),
    Fault("all stable pods killed", kills("stable", every=True), EITHER, cost=Cost.REQUESTS),
    Fault("node pressure for 2 min", node_pressure, EITHER, 120, pressure_ends, Cost.TRIAL | Cost.REQUESTS),
    Fault("clock 10 min ahead", clock(10), EITHER, 120, clock_is_right, Cost.TRIAL),
    Fault("clock 10 min behind", clock(-10), EITHER, 120, clock_is_right, Cost.TRIAL),
    Fault("another revision applied", applies_another, EITHER, cost=Cost.OUTCOME),
    Fault("stable applied again", applies_stable_again, EITHER, cost=Cost.OUTCOME),
    Fault("replicas edited", scales, EITHER, 60, scales_back, Cost.SHAPE),
    Fault("steps edited", edits_the_steps, EITHER),
    Fault("checks edited", edits_the_checks, EITHER),
    Fault("suspended for 1 min", suspends, EITHER, 60, goes_on),
    Fault(
        "resource deleted and applied again",
        deletes_the_resource,
        EITHER,
        cost=Cost.OUTCOME | Cost.REQUESTS | Cost.OURS,
    ),
    *_prometheus(),
    *_hands(),
)
