"""What can happen, as a table: how it begins, how it ends, and what it may cost.

A fault is aimed at a transition: it begins in the very pass that persists it, at one of the fault's
moments, if there is what it needs: an object, a pod, a write.
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
from tests.sim.world import NAME, Behaviour, Moment, PassEnds, SimPod, World, WriteFails, rule_of, team_route
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
    LATE = auto()
    """What was decided is written late, after the status that tells of it: until then objects are as before."""


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
        """The revision that serves, before this pass or after it."""
        return self.before.stable or self.plan.status.stable


@dataclass(frozen=True)
class Need:
    """What has to be there for a fault to begin."""

    name: str
    met: Callable[[Situation], bool]


NOTHING = Need("nothing", lambda _: True)
Begin = Callable[[Situation], None]
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
    needs: Need = NOTHING
    by_pods: Cost = Cost.NOTHING
    """What it costs besides where clients use the model's Service itself."""


# --- the operator, and the API server between it and the cluster ---------------------------------------


def dies(_: Situation) -> None:
    raise PassEnds(0.0, died=True)


def loses_the_answer_and_dies(_: Situation) -> None:
    raise PassEnds(0.0, died=True, stored=True)


def is_upgraded(s: Situation) -> None:
    s.world.renders = upgraded
    raise PassEnds(0.0, died=True)


def is_away(s: Situation) -> None:
    s.world.operator_up = False
    raise PassEnds(0.0, died=True)


def is_back(world: World) -> None:
    world.operator_up = True
    world.kill_operator()


def is_downgraded(world: World) -> None:
    world.renders = older
    world.kill_operator()


def conflict(_: Situation) -> None:
    raise PassEnds(1.0)


def busy(_: Situation) -> None:
    raise PassEnds(5.0)


def write_fails(_: Situation) -> None:
    raise WriteFails("the server is currently unable to handle the request")


def write_is_lost(_: Situation) -> None:
    raise WriteFails("no answer within 10 s", stored=True)


def another_operator(s: Situation) -> None:
    """A second one that believes to lead makes a whole pass between our look and our writes."""
    ours, s.world.ledger = s.world.ledger, type(s.world.ledger)()
    s.world.nested(s.world.reconcile)
    s.world.ledger = ours


# --- what is around ---------------------------------------------------------------------------------------


def prometheus(weather: Weather) -> Begin:
    def begin(s: Situation) -> None:
        s.world.prometheus.weather = weather

    return begin


def prometheus_is_fine(world: World) -> None:
    world.prometheus.weather = Weather.FINE


def gateway_down(s: Situation) -> None:
    s.world.gateway_up = False


def gateway_up(world: World) -> None:
    world.gateway_up = True


def proxy_paused(s: Situation) -> None:
    s.world.proxy_lag[s.world.random.randrange(3)] = 5.0


def proxy_goes_on(world: World) -> None:
    world.proxy_lag = [0.1, 0.4, 1.2]


def _pods(s: Situation, role: str) -> list[SimPod]:
    revision = getattr(s, role)
    return [pod for pod in s.world.pods if pod.revision == revision and pod.gone_at is None]


def kills(role: str, *, every: bool) -> Begin:
    def begin(s: Situation) -> None:
        mine = _pods(s, role)
        dead = mine if every else mine[:1]
        s.world.pods = [pod for pod in s.world.pods if pod not in dead]

    return begin


def pods_of(role: str) -> Need:
    return Need(f"a pod of {role}", lambda s: bool(_pods(s, role)))


def node_pressure(s: Situation) -> None:
    """One pod of each revision is evicted, and there is no room for another."""
    for pod in {pod.revision: pod for pod in s.world.pods if pod.gone_at is None}.values():
        pod.gone_at = s.world.now
    s.world.quota = "exceeded quota: memory"


def pressure_ends(world: World) -> None:
    world.quota = ""


def clock(minutes: float) -> Begin:
    def begin(s: Situation) -> None:
        s.world.skew = timedelta(minutes=minutes)
        s.world.wake_at = s.world.now

    return begin


def clock_is_right(world: World) -> None:
    world.skew = timedelta(0)
    world.wake_at = world.now


# --- people ---------------------------------------------------------------------------------------------------


def applies_another(s: Situation) -> None:
    s.world.image(NEXT, Behaviour())


def applies_stable_again(s: Situation) -> None:
    s.world.image("fraud:v1")


def scales(s: Situation) -> None:
    s.world.edit(lambda spec: spec.update(replicas=5))


def scales_back(world: World) -> None:
    world.edit(lambda spec: spec.update(replicas=4))


def edits_the_steps(s: Situation) -> None:
    def change(spec: Manifest) -> None:
        for stage in spec["strategy"]["stages"]:
            if "canary" in stage:
                stage["canary"]["steps"] = [{"weight": w, "minDuration": "20s"} for w in (1, 20, 40)]
            if "shadow" in stage:
                stage["shadow"]["percent"] = 40

    s.world.edit(change)


def edits_the_checks(s: Situation) -> None:
    def change(spec: Manifest) -> None:
        spec["analysis"]["minSamples"] = 250

    s.world.edit(change)


def suspends(s: Situation) -> None:
    s.world.edit(lambda spec: spec.update(suspend=True))


def goes_on(world: World) -> None:
    world.edit(lambda spec: spec.update(suspend=False))


def deletes_the_resource(s: Situation) -> None:
    s.world.delete_resource()


def wipes_the_status(s: Situation) -> None:
    s.world.resource["status"] = {}
    s.world._seen = None


# --- hands in our objects ---------------------------------------------------------------------------------


def _ref(s: Situation, kind: str, role: str) -> Ref | None:
    if kind == "HTTPRoute":
        return s.world.route if s.world.live_route() is not None else None
    if role == "model":
        name: str | None = NAME
    else:
        revision = getattr(s, role)
        name = None if revision is None else child_name(NAME, revision)
    if name is None:
        return None
    return next((ref for ref in s.world.objects if ref.kind == kind and ref.name == name), None)


def edits(kind: str, role: str, change: Callable[[Manifest], None]) -> Begin:
    def begin(s: Situation) -> None:
        ref = _ref(s, kind, role)
        assert ref is not None
        s.world.hand_edit(ref, change)

    return begin


def deletes(kind: str, role: str) -> Begin:
    def begin(s: Situation) -> None:
        ref = _ref(s, kind, role)
        assert ref is not None
        s.world.hand_delete(ref)

    return begin


def its_team_applies_the_route_again(world: World) -> None:
    """A route of ours is back long since."""
    if world.team and world.route not in world.objects:
        world.store(world.route, team_route())
        world.tell("the team applies its route again")


def object_of(kind: str, role: str) -> Need:
    return Need(f"a {kind} of {role}", lambda s: _ref(s, kind, role) is not None)


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
    for ref in rule_of(obj["spec"])["backendRefs"]:
        ref["weight"] = PARTS // 2


def _nobody(obj: Manifest) -> None:
    for ref in rule_of(obj["spec"])["backendRefs"]:
        ref["weight"] = 0


def _hand(
    name: str,
    how: str,
    kind: str,
    role: str,
    change: Callable[[Manifest], None] | None,
    cost: Cost,
    by_pods: Cost = Cost.NOTHING,
) -> Fault:
    begin = deletes(kind, role) if change is None else edits(kind, role, change)
    return Fault(f"{name} {how}", begin, cost=cost, needs=object_of(kind, role), by_pods=by_pods)


def _hands() -> Iterator[Fault]:
    gentle, cutting = Cost.OURS, Cost.OURS | Cost.REQUESTS
    for role in ("stable", "candidate"):
        cost = Cost.NOTHING if role == "stable" else Cost.TRIAL
        yield _hand(f"{role}:", "template edited", "Deployment", role, _template, gentle)
        yield _hand(f"{role}:", "scaled to 1", "Deployment", role, _one_replica, gentle)
        yield _hand(f"{role}:", "scaled to 0", "Deployment", role, _no_replicas, cutting | cost)
        yield _hand(f"{role}:", "Deployment deleted", "Deployment", role, None, cutting | cost)
        yield _hand(f"{role}:", "record deleted", "ControllerRevision", role, None, gentle)
        yield _hand(f"{role}:", "record relabelled", "ControllerRevision", role, _labels, gentle)
        yield _hand(f"{role}:", "Service deleted", "Service", role, None, cutting | cost)
        yield _hand(f"{role}:", "Service's selector edited", "Service", role, _selector, cutting | cost)
    yield _hand("the model's Service", "deleted", "Service", "model", None, gentle, by_pods=Cost.REQUESTS)
    yield _hand(
        "the model's Service's selector", "edited", "Service", "model", _selector, gentle, by_pods=Cost.REQUESTS
    )
    yield _hand("route:", "weights 50/50 by hand", "HTTPRoute", "model", _half, cutting)
    yield _hand("route:", "weights 0/0 by hand", "HTTPRoute", "model", _nobody, cutting)
    yield Fault(
        "route deleted",
        deletes("HTTPRoute", "model"),
        lasts=20,
        end=its_team_applies_the_route_again,
        cost=cutting,
        needs=object_of("HTTPRoute", "model"),
    )
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


ANY_POD = Need("a pod", lambda s: any(pod.gone_at is None for pod in s.world.pods))
WRITE, APPLIED = (Moment.WRITE,), (Moment.APPLIED,)

FAULTS: tuple[Fault, ...] = (
    Fault("operator dies before it writes", dies, EARLY),
    Fault("operator dies at a write", dies, WRITE),
    Fault("operator dies, its write is carried out", loses_the_answer_and_dies, WRITE),
    Fault("operator dies before the status", dies, APPLIED),
    Fault("operator dies before the events", dies, LATE),
    Fault("operator upgraded before it writes", is_upgraded, EARLY, 60, is_downgraded, Cost.SHAPE),
    Fault("operator upgraded before the status", is_upgraded, APPLIED, 60, is_downgraded, Cost.SHAPE),
    Fault("operator upgraded before the events", is_upgraded, LATE, 60, is_downgraded, Cost.SHAPE),
    Fault("operator away for 1 min", is_away, LATE, 60, is_back),
    Fault("operator away for 5 min", is_away, EARLY, 300, is_back),
    Fault("two operators at once", another_operator, EARLY),
    Fault("API 409 at a write", conflict, WRITE),
    Fault("API 409 at the status", conflict, APPLIED),
    Fault("API 429 at a write", busy, WRITE),
    Fault("API 500 at a write", write_fails, WRITE, cost=Cost.LATE),
    Fault("API 500 at the status", conflict, APPLIED),
    Fault("API hangs at a write, which is carried out", write_is_lost, WRITE, cost=Cost.LATE),
    Fault("API hangs at the status", busy, APPLIED),
    Fault("gateway controller down for 1 min", gateway_down, EITHER, 60, gateway_up, by_pods=Cost.REQUESTS),
    Fault("gateway controller down for 5 min", gateway_down, EITHER, 300, gateway_up, by_pods=Cost.REQUESTS),
    Fault("one proxy of three paused for 5 s", proxy_paused, EITHER, 30, proxy_goes_on, Cost.REQUESTS),
    Fault(
        "a candidate pod killed",
        kills("candidate", every=False),
        EITHER,
        cost=Cost.TRIAL | Cost.REQUESTS,
        needs=pods_of("candidate"),
    ),
    Fault(
        "all candidate pods killed",
        kills("candidate", every=True),
        EITHER,
        cost=Cost.TRIAL | Cost.REQUESTS,
        needs=pods_of("candidate"),
    ),
    Fault("a stable pod killed", kills("stable", every=False), EITHER, cost=Cost.REQUESTS, needs=pods_of("stable")),
    Fault("all stable pods killed", kills("stable", every=True), EITHER, cost=Cost.REQUESTS, needs=pods_of("stable")),
    Fault("node pressure for 2 min", node_pressure, EITHER, 120, pressure_ends, Cost.TRIAL | Cost.REQUESTS, ANY_POD),
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
