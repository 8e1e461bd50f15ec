"""One voyage: an errand, the faults that are aimed at its transitions, and how it ends.

A voyage is a function of its number, whose digits say: seed, luck, course (an errand under a strategy), and the
target, a place on that course and a fault. The target is hit when the voyage gets there; other transitions are
hit by chance, seldom before the target and often after it.
"""

from __future__ import annotations

import copy
import traceback
from collections import Counter
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from seatrial.api.status import PARTS, Phase
from seatrial.core.commands import Action
from seatrial.core.state import Plan
from tests.sim.chance import quick
from tests.sim.invariants import Invariants
from tests.sim.training import USUAL
from tests.sim.world import Moment, World, rule_of, settled
from tests.weather.errands import CANDIDATE, ERRANDS, PATIENCE, Deed, Errand, obeyed
from tests.weather.faults import FAULTS, Cost, Fault, Situation
from tests.weather.strategies import STRATEGIES
from tests.weather.transitions import transition
from tests.weather.truth import Truth

Cell = tuple[str, str]
"""A transition and a fault."""
LUCKS, COURSES, PLACES, KINDS = 10_000, 1_000, 100, 1_000
"""Digits of a voyage's number after its seed."""
BASE = LUCKS * COURSES * PLACES * KINDS
"""Voyages of one seed."""
LONGEST = 4 * 3600
"""Seconds after which an errand has to have ended, half-hour faults included."""
MOST = 6
"""Faults in one voyage."""
HIT = 0.7
"""How likely a transition is hit when it is met for the first time after the target was hit."""
EARLY_HIT = 0.2
"""How likely it is hit before: what happens early may keep a voyage from its target."""
SECOND = 0.1
"""How likely a transition is hit that was met before in the same voyage."""
UNWRITTEN = "a write"
"""What is lacking where the moment of a fault does not come."""
RULES = sum(1 for name in vars(Invariants) if name.startswith("_") and not name.startswith("__"))


class Violation(Exception):  # noqa: N818 - what it is
    """Something happened that may not."""


@dataclass
class Log:
    """What a voyage has to tell."""

    hits: Counter[Cell] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    """Transitions, as often as they were stored."""
    lacks: dict[Cell, str] = field(default_factory=dict)
    """What a fault needs and did not find at a transition; empty where it found it. In calm water only."""
    steps: int = 0
    trials: int = 0
    checked: int = 0


@dataclass(frozen=True)
class End:
    """The state that a voyage ends in, with revisions called by their role."""

    phase: Phase
    serves: str
    shape: str


@dataclass(frozen=True)
class Heading:
    """What the digits of a voyage's number say; what is too large counts from the beginning again."""

    seed: int
    luck: int
    course: int
    place: int
    """The transition of the course, as it comes in calm water."""
    fault: int

    @classmethod
    def of(cls, number: int) -> Heading:
        """Read a number."""
        digits = []
        for base in (KINDS, PLACES, COURSES, LUCKS):
            number, digit = divmod(number, base)
            digits.append(digit)
        return cls(number, *reversed(digits))

    @property
    def number(self) -> int:
        """The number that says this."""
        number = 0
        for base, digit in zip((1, LUCKS, COURSES, PLACES, KINDS), astuple(self), strict=True):
            number = number * base + digit
        return number


class Voyage:
    """Sail `errand` under `strategy`, and hit the target there; without one the water is calm."""

    def __init__(self, number: int, strategy: str, errand: Errand, target: tuple[str, Fault] | None = None) -> None:
        self.number, self.strategy, self.errand = number, strategy, errand
        self.target = target
        self.calm = target is None
        self.foul = False
        """Faults may begin, or in calm water could: the errand is under way."""
        self.log = Log()
        self.random = Random(number)
        spec = STRATEGIES[strategy]()
        errand.spec(spec)
        self.world = World(seed=number, spec=spec, draw=quick, team="routeRef" in spec["traffic"])
        self.world.config_maps[USUAL["metadata"]["name"]] = USUAL
        self.world.plan_twice = 5
        self.invariants = Invariants(lossless=False)
        self.truth = Truth(self.world, loses=errand.loses)
        self.world.watchers += [self.invariants, self.truth.passed]
        self.world.at = self._at
        self.charted_end: End | None = None
        self._before = self.world.status
        self._ends: list[tuple[datetime, Fault]] = []
        self._aimed: set[str] = set()
        self._armed: Fault | None = None
        self._now: str | None = None
        self._did = 0
        self._deeds: tuple[Deed, ...] = ()
        self._acted = self.world.now
        self._count = 0

    # -- sailing -----------------------------------------------------------------------------------------------

    def sail(self) -> Log:
        """The whole voyage. Raises `Violation`."""
        try:
            self._sail()
        except Exception as error:
            raise Violation(self._report(error)) from error
        finally:
            self.log.checked = self.invariants.passes * RULES + self.truth.checked
            self.log.trials = len(self.world.status.history)
        return self.log

    def _sail(self) -> None:
        world, errand = self.world, self.errand
        if not errand.first:
            world.image("fraud:v1")
            self._until(settled, 120)
            self._pass_time(15)
        self.foul, self._deeds = True, errand.deeds
        world.image(CANDIDATE, copy.deepcopy(errand.behaviour))
        self._until(self._over, LONGEST)
        self._pass_time(30)
        self._until(self._over, LONGEST)  # a command may have come late, and begun all anew
        self.charted_end = self._end()
        self._compare(self.charted_end)
        if not (errand.loses and self.truth.cost & Cost.OUTCOME):  # pods that crash for ever are news for ever
            self._idle()

    def _until(self, done: Any, seconds: float) -> None:
        limit = self.world.now + timedelta(seconds=seconds)
        while not done(self.world):
            status = self.world.status
            assert self.world.now < limit, f"stuck in {status.phase}: {status.message}"
            self._step()

    def _pass_time(self, seconds: float) -> None:
        limit = self.world.now + timedelta(seconds=seconds)
        while self.world.now < limit:
            self._step()

    def _step(self) -> None:
        world = self.world
        world.step(self._stride())
        self.log.steps += 1
        for due, fault in [entry for entry in self._ends if entry[0] <= world.now]:
            self._ends.remove((due, fault))
            fault.end(world)
            self.truth.ends(fault)
        self.invariants.hands_off = not self.truth.cost & Cost.OURS
        self.truth.stepped()
        self._people()

    def _stride(self) -> float:
        """How far nothing but requests and scrapes happens: up to a scrape."""
        world = self.world
        if any(pod.gone_at is not None or not pod.ready(world.now, world.behaviour(pod.image)) for pod in world.pods):
            return 1.0
        if not world.quiet or self.errand.loses:
            return 1.0
        if world.wake_at is not None and world.operator_up:
            return float(min(5, max(1, int((world.wake_at - world.now).total_seconds()))))
        return 5.0

    def _people(self) -> None:
        self._answer_the_call()
        if self._did >= len(self._deeds):
            return
        deed, world = self._deeds[self._did], self.world
        ready = (world.now - self._acted).total_seconds() >= PATIENCE or not deed.again
        if ready and deed.when(world):
            deed.do(world)
            self._acted = world.now
            if not deed.again:
                self._did += 1

    def _answer_the_call(self) -> None:
        """Whose route is reset again and again asks for a person, who finds out by whom, and says so."""
        world, have = self.world, self.world.status.traffic.borrowed
        if have is not None and have.contested and obeyed(world):
            world.command(Action.RETRY, world.wanted)

    # -- faults ------------------------------------------------------------------------------------------------

    def _at(self, world: World, moment: Moment, plan: Plan) -> None:
        if moment is Moment.DECIDED:
            self._now = transition(world.status, plan.status)
            self._armed = self._aim(self._now) if self._now is not None else None
            self._before = world.status
        if self._now is None or not self.foul:
            return
        if moment is Moment.STORED:
            self.log.seen[self._now] += 1
        situation = Situation(world, plan, self._before, moment)
        if self.calm:
            self._survey(self._now, situation)
        fault = self._armed
        if fault is None or moment not in fault.moments or not fault.needs.met(situation):
            return
        if moment is not fault.moments[-1] and self.random.random() < 0.5:
            return
        self._armed = None
        try:
            fault.begin(situation)
        finally:
            self._begun(fault)

    def _survey(self, now: str, situation: Situation) -> None:
        """Note which faults could begin here."""
        for fault in FAULTS:
            if situation.moment not in fault.moments or self.log.lacks.get((now, fault.name)) == "":
                continue
            met = fault.needs.met(situation)
            self.log.lacks[now, fault.name] = "" if met else fault.needs.name

    def _aim(self, now: str) -> Fault | None:
        if not self.foul or self.calm:
            return None
        if self.target is not None and self.target[0] == now:
            return self.target[1]
        if self._count >= MOST:
            return None
        again = now in self._aimed
        self._aimed.add(now)
        if again:
            return self.random.choice(FAULTS) if self.random.random() < SECOND else None
        return aim(self.number, now, EARLY_HIT if self.target else HIT)

    def _begun(self, fault: Fault) -> None:
        world = self.world
        self._count += 1
        if self.target == (self._now, fault):
            self.target = None
        self.log.hits[self._now or "", fault.name] += 1
        world.tell(f"~~ {fault.name} ~~ at {self._now}")
        self.truth.begins(fault)
        self.invariants.hands_off = not self.truth.cost & Cost.OURS
        self._ends.append((world.now + timedelta(seconds=fault.lasts), fault))

    # -- the end -----------------------------------------------------------------------------------------------

    def _over(self, world: World) -> bool:
        status = world.status
        if (
            self._ends
            or status.rollout is not None
            or not obeyed(world)
            or status.observed_generation != world.generation
            or world.leaving
        ):
            return False
        if self._forgotten():
            return True
        ended = {
            Phase.STABLE: status.stable == world.wanted,
            Phase.ROLLED_BACK: status.rejected is not None and status.rejected.revision == world.wanted,
            Phase.FAILED: True,
        }
        if not ended.get(status.phase, False):
            return False
        held = [revision for revision in (status.traffic.slots.a, status.traffic.slots.b) if revision is not None]
        if status.stable is None:
            return not held
        return held == [status.stable] and world.weight(status.stable) == PARTS and world.quiet

    def _forgotten(self) -> bool:
        """A wiped status forgets that what has the traffic failed its probation: it is taken for stable.

        Its pods crash for ever, so the revision before, which has pods, never leaves the route for it.
        """
        world, status = self.world, self.world.status
        lost = self.errand.loses and bool(self.truth.cost & Cost.OUTCOME)
        crashed = status.stable is not None and world.ready(status.stable) == 0
        return lost and crashed and status.phase is Phase.ROLLING_BACK and status.rollout is None

    def _end(self) -> End:
        self._pass_time(60)
        world, status = self.world, self.world.status
        assert status.rollout is None, f"not at rest: {status.phase}, {status.message}"
        roles = {world.wanted: "wanted"}
        if status.stable is not None and status.stable != world.wanted:
            roles[status.stable] = "before"
        objects = []
        for ref, obj in world.objects.items():
            text = f"{ref} {_spec(obj)}"
            for revision, role in roles.items():
                text = text.replace(revision, role)
            objects.append(text)
        conditions = sorted(f"{c.type}={c.status} {c.reason}" for c in status.conditions)
        rejected = roles.get(status.rejected.revision, "?") if status.rejected else "nobody"
        said = f"{conditions} rejected {rejected}, paused {status.paused is not None}, url {status.url}"
        said += f", {status.replicas} for {roles.get(status.stable or '', 'nobody')}"
        return End(status.phase, roles.get(status.stable or "", "nobody"), "\n".join([*sorted(objects), said]))

    def _compare(self, end: End) -> None:
        if self.calm:
            return
        wanted = charted(self.strategy, self.errand).end
        if end == wanted:
            return
        cost = self.truth.cost
        # Whether a pod crashes before or after its acceptance is a matter of seconds, and every fault costs some.
        if cost & Cost.OUTCOME or self.errand.loses:
            assert end.phase in (Phase.STABLE, Phase.ROLLED_BACK, Phase.FAILED) or self._forgotten()
            return
        if cost & Cost.TRIAL and end.phase in (Phase.ROLLED_BACK, Phase.FAILED):
            return
        assert end.phase is wanted.phase and end.serves == wanted.serves, (
            f"ends {end.phase} with {end.serves} serving; undisturbed {wanted.phase} with {wanted.serves}: "
            f"{self.world.status.message}"
        )
        if not cost & Cost.SHAPE:
            found, charts = end.shape.splitlines(), wanted.shape.splitlines()
            other = [
                *(f"+ {line}" for line in found if line not in charts),
                *(f"- {line}" for line in charts if line not in found),
            ]
            assert not other, "ends in another state than an undisturbed run\n" + "\n".join(other)

    def _idle(self) -> None:
        """At rest nothing is written."""
        world = self.world
        before = (world.writes, world.status_writes)
        self.foul = False
        self._pass_time(120)
        self.truth.checked += 1
        after = (world.writes, world.status_writes)
        assert before == after, f"objects and statuses written at rest: {after[0] - before[0]}, {after[1] - before[1]}"

    def _report(self, error: Exception) -> str:
        where = "".join(traceback.format_exception(error)[-3:])
        tail = "\n".join(f"    {line}" for line in self.world.story[-25:])
        what = str(error) or type(error).__name__
        name, again = f"voyage {self.number}", f"-m tests.weather --voyage {self.number}"
        if self.calm:
            test = f"test_calm_water[{self.strategy}-{self.errand.name}]"
            name, again = "in calm water", f"-m pytest 'tests/weather/test_weather.py::{test}'"
        return (
            f"{name} ({self.strategy}, {self.errand.name}): {what}\n{tail}\n{where}"
            f"again: PYTHONPATH=operator .venv/bin/python {again}"
        )


def _spec(obj: dict[str, Any]) -> str:
    if obj["kind"] == "ControllerRevision":
        return str(obj["data"]["deployment"])  # the rest is lost with a record that was deleted
    if obj["kind"] != "HTTPRoute":
        return str(obj["spec"])
    spec = copy.deepcopy(obj["spec"])
    shares: Counter[str] = Counter()
    for ref in rule_of(spec).pop("backendRefs"):
        shares[ref["name"]] += ref["weight"]
    return f"{spec} {sorted(shares.items())}"


def course(index: int) -> tuple[str, Errand]:
    """Strategy and errand of a course."""
    strategies = list(STRATEGIES)
    return strategies[index // len(ERRANDS) % len(strategies)], ERRANDS[index % len(ERRANDS)]


def aim(number: int, transition: str, likely: float) -> Fault | None:
    """The fault that chance aims at a transition, when it comes; none now and then, so that a voyage gets further."""
    luck = Random(f"{number} {transition}")
    return luck.choice(FAULTS) if luck.random() < likely else None


def voyage(number: int) -> Voyage:
    """The voyage of a number."""
    heading = Heading.of(number)
    strategy, errand = course(heading.course)
    places = charted(strategy, errand).transitions
    target = (places[heading.place % len(places)], FAULTS[heading.fault % len(FAULTS)])
    return Voyage(number, strategy, errand, target)


@dataclass(frozen=True)
class Chart:
    """How an errand goes in calm water."""

    end: End
    transitions: tuple[str, ...]
    lacks: dict[Cell, str]
    """What a fault lacks at a transition to begin there; empty where it lacks nothing."""
    steps: int


@cache
def charted(strategy: str, errand: Errand) -> Chart:
    """The undisturbed run of an errand. Raises `Violation`."""
    calm = Voyage(0, strategy, errand)
    calm.sail()
    assert calm.charted_end is not None
    lacks = {
        (name, fault.name): calm.log.lacks.get((name, fault.name), UNWRITTEN)
        for name in calm.log.seen
        for fault in FAULTS
    }
    return Chart(calm.charted_end, tuple(calm.log.seen), lacks, calm.log.steps)
