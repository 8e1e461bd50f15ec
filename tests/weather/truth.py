"""What must hold of the world itself, whatever the plans say: checked after every step and every pass.

`tests/sim/invariants.py` holds a plan against what the planner could see. Here the world is asked: does the
address answer, has the evidence been there, has a request been lost that need not be.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from seatrial.api.status import PARTS, Phase, Status
from seatrial.build.names import MODEL_LABEL, REVISION_LABEL
from seatrial.core.state import Plan, Ref
from tests.sim.prometheus import Weather
from tests.sim.world import NAME, World
from tests.weather.faults import Cost, Fault

REPAIR = 30.0
"""Seconds in which an operator that can work puts right what hands did."""
AFTERMATH = 180.0
"""Seconds for which requests may still be lost after a fault that costs requests has ended."""
BACK = 20.0
"""Seconds in which a candidate is out of the way once stable is whole and nothing hinders the operator."""
STALE_AFTER = 20.0
"""Seconds after which nobody may judge on what was scraped before."""
TRUSTED = (Weather.FINE, Weather.SLOW)
"""When Prometheus tells the truth."""


class Truth:
    """A watcher of a world and of its passes. `faults`: what is in force, or has just been."""

    def __init__(self, world: World, *, loses: bool) -> None:
        self.world = world
        self.loses = loses
        """The candidate itself may lose requests."""
        self.cost = Cost.NOTHING
        """What the faults so far may have cost."""
        self.calm_since = world.now
        self.in_force: list[Fault] = []
        self.checked = 0
        self._broken_since: datetime | None = None
        self._losing_until = self._late_until = world.now
        self._lost = 0
        self._returning_since: datetime | None = None
        self._served: tuple[str, int, int] = ("", -1, 0)
        self._stored = world.status
        self._decided: set[str | None] = set()
        """Which revision was to be stable, in the passes since the status was stored."""
        self._weather, self._weather_since = Weather.FINE, world.now

    def begins(self, fault: Fault) -> None:
        """A fault is in force from now on."""
        self.cost |= self._cost(fault)
        self.in_force.append(fault)
        if self._cost(fault) & Cost.REQUESTS:
            self._losing_until = self.world.now
        if fault.cost & Cost.LATE:
            self._late_until = self.world.now + timedelta(seconds=REPAIR)

    def _cost(self, fault: Fault) -> Cost:
        return fault.cost | fault.by_pods if self.world.by_pods else fault.cost

    def ends(self, fault: Fault) -> None:
        """A fault is over."""
        self.in_force.remove(fault)
        self.calm_since = self.world.now

    @property
    def calm(self) -> float:
        """Seconds for which nothing has hindered anybody."""
        return 0.0 if self.in_force else (self.world.now - self.calm_since).total_seconds()

    # -- after a pass ------------------------------------------------------------------------------------------

    def passed(self, world: World, plan: Plan) -> None:
        """A pass has decided."""
        if world.status is not self._stored:
            self._stored = world.status
            if world.status.phase is not Phase.SUSPENDED:  # whoever suspends between the two stops us there
                self._decided.clear()
        self._decided.add(plan.status.stable)
        for rule in (self._evidence_was_there, self._a_step_is_not_repeated):
            self.checked += 1
            rule(world, world.status, plan.status)

    def _evidence_was_there(self, world: World, before: Status, after: Status) -> None:
        old, new = before.rollout, after.rollout
        if new is not None and new.confirmed_at is not None and self._served[:2] != (new.revision, new.step):
            self._served = (new.revision, new.step, world.served[new.revision])
        if old is None or new is None or old.revision != new.revision or before.stable is None:
            return
        advanced = new.step > old.step or (new.promoting and not old.promoting)
        if not advanced or not old.exposed or new.promote or old.steps != new.steps:
            return
        weather = world.prometheus.weather
        # What was scraped a moment ago is the truth still.
        news = weather is Weather.STALE and (world.now - self._weather_since).total_seconds() < STALE_AFTER
        # A flip stands on the evidence of the stage before it; nobody comes to a preview by himself.
        previewed = old.steps.split(",")[max(0, old.step)] == "preview"
        assert weather in TRUSTED or news or previewed, f"step {old.step} was left while Prometheus is {weather}"
        anew = bool(self.cost & Cost.OUTCOME) or any(entry.revision == old.revision for entry in before.history)
        counts = self._served[:2] == (old.revision, old.step) and before.phase is Phase.CANARY
        if counts and not anew:  # copies of requests are not served
            served = world.served[old.revision] - self._served[2]
            least = world.resource["spec"]["analysis"]["minSamples"]
            # Counts begin with the last scrape before the weight was confirmed.
            assert served >= least * 0.75, f"step {old.step} was left after {served} of {least} requests"

    def _a_step_is_not_repeated(self, world: World, before: Status, after: Status) -> None:
        old, new = before.rollout, after.rollout
        if old is None or new is None or (old.revision, old.step, old.steps) != (new.revision, new.step, new.steps):
            return
        if old.confirmed_at is None or new.confirmed_at is None or self.cost & Cost.OURS:
            return
        ahead = old.confirmed_at > world.clock  # whoever started it then, by a clock that had gone ahead
        assert ahead or old.confirmed_at == new.confirmed_at, f"the clock of step {old.step} was started again"

    # -- after a step ------------------------------------------------------------------------------------------

    def stepped(self) -> None:
        """Time has passed."""
        if self.world.prometheus.weather is not self._weather:
            self._weather, self._weather_since = self.world.prometheus.weather, self.world.now
        broken = ""
        through = (self._route_leads_somewhere, self._service_selects_stable)
        for rule in (*((self._service_selects_who_serves,) if self.world.by_pods else through), self._templates_stay):
            self.checked += 1
            broken = broken or rule()
        self._repaired(broken)
        for check in (self._nothing_lost, self._back_at_once):
            self.checked += 1
            check()

    def _repaired(self, broken: str) -> None:
        if not broken:
            self._broken_since = None
            return
        assert self.cost & Cost.OURS or self.world.now < self._late_until, broken
        # Whoever is suspended, away or without an API server repairs nothing; the time counts from when it can.
        if self._broken_since is None or self.calm == 0.0:
            self._broken_since = self.world.now
        waited = (self.world.now - self._broken_since).total_seconds()
        assert waited <= REPAIR, f"not repaired for {waited:.0f} s: {broken}"

    def _route_leads_somewhere(self) -> str:
        world = self.world
        route = world.live_route()
        if world.leaving:
            return ""  # a team's rule goes back to where it led before
        if route is None:
            served = world.status.stable is not None and world.status.traffic.wanted.a + world.status.traffic.wanted.b
            return "the route is gone" if served else ""
        refs = route["spec"]["rules"][0]["backendRefs"]
        total = sum(ref["weight"] for ref in refs)
        if total != PARTS:
            return f"weights sum to {total}"
        for ref in refs:
            service = world.objects.get(Ref("Service", ref["name"]))
            if service is None:
                return f"the route names Service {ref['name']}, which does not exist"
            revision = service["spec"]["selector"].get(REVISION_LABEL, "nobody")
            if Ref("Deployment", f"{NAME}-{revision}") not in world.objects:
                return f"Service {ref['name']} selects {revision}, which has no Deployment"
        return ""

    def _service_selects_stable(self) -> str:
        service = self.world.objects.get(Ref("Service", NAME))
        stable = self.world.status.stable
        if stable is None:
            return ""
        if service is None:
            return f"Service {NAME} is gone"
        selected = service["spec"]["selector"].get(REVISION_LABEL)
        # The Service is written before the status that tells of it, and that status may be lost.
        told = selected == stable or selected in self._decided
        return "" if told else f"Service {NAME} selects {selected}, stable is {stable}"

    def _service_selects_who_serves(self) -> str:
        """Where pods are weights: a revision that is there, or all of the model's."""
        selector, served = self.world.endpoints.selector, self.world.status.stable is not None
        if selector is None:
            return f"Service {NAME} is gone" if served else ""
        alone = selector.pop(REVISION_LABEL, None)
        if selector != {MODEL_LABEL: NAME}:
            return f"Service {NAME} selects {selector}"
        there = alone is None or Ref("Deployment", f"{NAME}-{alone}") in self.world.objects
        return "" if there else f"Service {NAME} selects {alone}, which has no Deployment"

    def _templates_stay(self) -> str:
        for ref, obj in self.world.objects.items():
            if ref.kind != "Deployment":
                continue
            record = self.world.objects.get(Ref("ControllerRevision", ref.name))
            if record is None:
                return f"{ref} has no record"
            born = {"metadata": record["metadata"], "spec": record["data"]["deployment"]["spec"]}
            if self.world.template(obj) != self.world.template(born):
                return f"the pod template of {ref} is not the one it was born with"
        return ""

    def _nothing_lost(self) -> None:
        world = self.world
        stable = world.status.stable
        small = stable is not None and world.ready(stable) < world.resource["spec"]["replicas"]
        unfit = small or self._broken_since is not None or not world.quiet
        if unfit or any(self._cost(fault) & Cost.REQUESTS for fault in self.in_force):
            self._losing_until = world.now
        lost = sum(world.lost.values())
        may = self.loses or (
            bool(self.cost & Cost.REQUESTS) and (world.now - self._losing_until).total_seconds() <= AFTERMATH
        )
        assert lost == self._lost or may, f"lost requests: {dict(world.lost)}"
        self._lost = lost

    def _back_at_once(self) -> None:
        world, status = self.world, self.world.status
        rollout = status.rollout
        whole = status.stable is not None and world.ready(status.stable) >= world.resource["spec"]["replicas"]
        if rollout is None or rollout.back is None or not whole or self.calm == 0.0 or status.phase is Phase.SUSPENDED:
            self._returning_since = None
            return
        self._returning_since = self._returning_since or world.now
        weight = world.weight(rollout.revision)
        waited = (world.now - self._returning_since).total_seconds()
        assert weight <= 1 or waited <= BACK, f"on its way back for {waited:.0f} s, still at {weight} parts"
