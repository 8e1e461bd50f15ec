"""Raw counters of pods, scraped as Prometheus scrapes them, through the product's own questions, counting and verdicts.

A trial with the default steps at 200 requests a second and 1 % errors, six pods of stable and two of the candidate, each scraped
every five seconds. What happens to it is a `World`. Slower than the arrays by a factor of hundreds, so these are few: they show
that nothing between the counters and the judge breaks the promise, not how large it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.verdicts.rates import Rate
from benchmarks.verdicts.traffic import INTERVAL, LOOKS, TERMS
from benchmarks.verdicts.trials import IN_TIME, LEAST, LEGS, SAMPLES
from seatrial.api.spec import Analysis, Check, CheckPreset, MetricSource, Runtime
from seatrial.api.status import CheckStatus, Outcome
from seatrial.core import checks
from seatrial.core.checks import Arm, Situation
from seatrial.metrics import presets
from tests.sim.prometheus import SimPrometheus

START = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
RATE, BASE = 200.0, 0.01
SCRAPES = 5.0
STABLE, CANDIDATE = "7c9f1b20de", "e04d5521aa"
SETTLES = 10.0
RELEASES, SLIDE = 10, 0.25
"""Releases in a row, each worse than the one before by a part of the margin."""
PRESETS = presets.load()
ERRORS = Check(name="errors", preset=CheckPreset.ERRORS)
COMPARED = Check(name="errors", preset=CheckPreset.ERRORS, max="100%")
"""The same without a ceiling that matters."""
ANALYSIS = Analysis(interval=timedelta(seconds=INTERVAL))


@dataclass(frozen=True)
class World:
    """What happens to the counters, and to the requests."""

    told: str
    jitter: float = 0.0
    """Seconds by which a scrape is late, at most."""
    missing: float = 0.0
    """Share of scrapes that fail."""
    restarts: float = 0.0
    """Restarts of a pod in an hour."""
    traffic: Callable[[float], float] = lambda _: 1.0
    """What the request rate is multiplied with, by seconds since the trial began."""
    errors: Callable[[float], float] = lambda _: 0.0
    """Errors of both models beside their own, as a share, by seconds."""
    clump: float = 1.0
    check: Check = ERRORS


def _morning(seconds: float) -> float:
    """From the night's traffic to the day's, within the hour."""
    return 0.3 + 0.7 * (1.0 - math.cos(math.pi * min(1.0, max(0.0, (seconds + 1800.0) / 5400.0)))) / 2.0


def _outage(seconds: float) -> float:
    return 0.3 if 420.0 <= seconds < 600.0 else 0.0


WORLDS = {
    "fine": World("nothing happens"),
    "rough": World("scrapes up to 2 s late, one in ten missing", jitter=2.0, missing=0.1),
    "restarts": World("each pod restarts four times an hour", jitter=1.0, restarts=4.0),
    "clumps": World("errors in clumps of ten, scrapes late and missing", jitter=2.0, missing=0.1, clump=10.0),
    "morning": World("traffic triples within the hour, and the errors of both models rise with it", traffic=_morning, errors=lambda t: BASE * _morning(t)),
    "outage": World("a dependency fails 30 % of both models' requests for three minutes", errors=_outage, check=COMPARED),
    "ceiling": World("the same outage, with the default `max: 5%`", errors=_outage),
}  # fmt: skip
DEMANDED = tuple(name for name in WORLDS if name != "ceiling")
"""Worlds in which the targets hold. A ceiling does not look at stable: that is what it is for."""


@dataclass(frozen=True)
class Replay:
    """What became of trials in one world."""

    name: str
    wrong: Rate
    warned: Rate
    """Good ones whose forecast called the plan slow."""
    accepted: Rate
    """The others, accepted within twice the least time."""
    bad_accepted: Rate
    """Candidates twice the margin worse."""
    found: Rate
    """Candidates four points worse, sent back within the hour."""


@dataclass(frozen=True, slots=True)
class End:
    """How a trial ended."""

    outcome: Outcome
    minutes: float
    warning: str
    """What the forecast said at the first look."""


def measure(name: str, runs: int) -> Replay:
    world = WORLDS[name]
    good = [sail(world, BASE, BASE, seed) for seed in range(runs)]
    bad = [sail(world, BASE, BASE + 2 * TERMS.margin(BASE), 1000 + seed) for seed in range(max(1, runs // 2))]
    told = [end for end in good if not end.warning]
    plain = [sail(world, BASE, BASE + 0.04, 2000 + seed) for seed in range(max(1, runs // 4))]
    return Replay(
        name,
        _rate(good, Outcome.FAIL),
        Rate(len(good) - len(told), len(good)),
        Rate(sum(end.outcome is Outcome.PASS and end.minutes <= IN_TIME for end in told), len(told)),
        _rate(bad, Outcome.PASS),
        _rate(plain, Outcome.FAIL),
    )


@dataclass(frozen=True)
class Slide:
    """Ten releases in a row, each a little worse."""

    chains: int
    accepted: Rate
    """Releases accepted, each against the one before."""
    share: float
    """Mean share of errors of what was stable in the end, from `BASE` at the beginning."""


def slide(chains: int) -> Slide:
    """Releases that each are worse by a quarter of the margin."""
    accepted, ends = 0, []
    for chain in range(chains):
        stable = BASE
        for release in range(RELEASES):
            candidate = stable + SLIDE * TERMS.margin(stable)
            end = sail(WORLDS["fine"], stable, candidate, 5000 + chain * RELEASES + release)
            if end.outcome is Outcome.PASS:
                accepted, stable = accepted + 1, candidate
        ends.append(stable)
    return Slide(chains, Rate(accepted, chains * RELEASES), sum(ends) / len(ends))


def _rate(ends: list[End], outcome: Outcome) -> Rate:
    return Rate(sum(end.outcome is outcome for end in ends), len(ends))


# --- the counters -----------------------------------------------------------------------------------------------------


@dataclass
class Fleet:
    """The pods of one revision."""

    revision: str
    size: int
    world: World
    draw: np.random.Generator
    since: float
    counts: list[list[float]] = field(init=False)
    """Of each pod: good and bad answers since its process began."""
    due: list[float] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = [[0.0, 0.0] for _ in range(self.size)]
        self.due = [self.since + SCRAPES * (index + 1) / (self.size + 1) for index in range(self.size)]
        self.names = [f"fraud-{self.revision}-{index:05d}" for index in range(self.size)]

    def pods(self) -> Mapping[str, datetime]:
        return {name: START + timedelta(seconds=self.since) for name in self.names}

    def answer(self, prometheus: SimPrometheus, start: float, end: float, rate: float, share: float) -> None:
        """Requests from `start` to `end`, and the scrapes between; both in whole seconds after `START`."""
        seconds = np.arange(start, end)
        flow = np.array([rate * self.world.traffic(at) for at in seconds]) / self.size
        failing = np.array([min(0.95, share + self.world.errors(at)) for at in seconds])
        total = self.draw.poisson(np.broadcast_to(flow[:, None], (len(seconds), self.size)))
        bad = self.draw.poisson(total * failing[:, None] / self.world.clump)
        if self.world.clump > 1.0:
            bad += np.where(bad > 0, self.draw.negative_binomial(np.maximum(bad, 1), 1.0 / self.world.clump), 0)
        bad = np.minimum(bad, total)
        for index, own in enumerate(self.counts):
            for at, answered, failed in zip(seconds, total[:, index], bad[:, index], strict=True):
                if self.draw.random() < self.world.restarts / 3600.0:
                    own[:] = [0.0, 0.0]
                own[0] += answered - failed
                own[1] += failed
                if self.due[index] < at + 1:
                    self._scrape(prometheus, index, max(at, self.due[index]) + 0.37)
                    self.due[index] += SCRAPES

    def _scrape(self, prometheus: SimPrometheus, index: int, at: float) -> None:
        late = self.draw.uniform(0.0, self.world.jitter) if self.world.jitter else 0.0
        up, name = self.draw.random() >= self.world.missing, self.names[index]
        own = {"namespace": "models", "pod": name, "instance": f"{name}:8082", "job": "pods"}
        sample = START.timestamp() + at + late
        samples = {("up", ""): float(up)}
        if up:
            samples |= {("rest_server_requests_total", "200"): self.counts[index][0]}
            samples |= {("rest_server_requests_total", "500"): self.counts[index][1]}
        for (metric, status), value in samples.items():
            labels = {**own, "__name__": metric}
            if status:
                labels |= {"method": "POST", "path": "/v2/models/fraud/infer", "status_code": status}
                if not value:
                    continue
            prometheus.series.setdefault(tuple(sorted(labels.items())), []).append((sample, value))


# --- the trial --------------------------------------------------------------------------------------------------------


def sail(world: World, base: float, share: float, seed: int) -> End:
    """A trial of one hour."""
    draw, prometheus = np.random.default_rng(seed), SimPrometheus(interval=SCRAPES)
    stable, candidate = Fleet(STABLE, 6, world, draw, -3700.0), Fleet(CANDIDATE, 2, world, draw, -60.0)
    stable.answer(prometheus, -3700.0, -60.0, RATE, base)
    for fleet, rate, bad in ((stable, RATE, base), (candidate, 0.5, 0.0)):
        fleet.answer(prometheus, -60.0, 0.0, rate, bad)
    stored = CheckStatus(name="errors", source=MetricSource.RUNTIME, through=START)
    step, confirmed, since, told = 0, 0.0, 0, ""
    for look in range(1, LOOKS + 1):
        now, weight = look * INTERVAL, LEGS[step].weight
        stable.answer(prometheus, now - INTERVAL, now, RATE * (1.0 - weight / 100.0), base)
        candidate.answer(prometheus, now - INTERVAL, now, RATE * weight / 100.0, share)
        since += 1
        here = Situation(
            namespace="models",
            name="fraud",
            stable=Arm(STABLE, "a", stable.pods()),
            candidate=Arm(CANDIDATE, "b", candidate.pods()),
            runtime=Runtime.MLSERVER,
            model_name="fraud",
            weight=float(weight),
            last=step == len(LEGS) - 1,
            concurrent=True,
            min_samples=SAMPLES,
            settled=now - confirmed > SETTLES,
            confirmed_at=START + timedelta(seconds=confirmed),
            start=START,
            now=START + timedelta(seconds=now),
            scrape_interval=SCRAPES,
        )
        answers, _ = prometheus.answer(checks.ask(world.check, stored, here, PRESETS))
        stored = checks.judge(world.check, checks.fold(world.check, stored, here, PRESETS, answers), here)
        if look == 1:
            told = checks.forecast(world.check, stored, LEGS, ANALYSIS)
        if stored.outcome is Outcome.FAIL:
            return End(Outcome.FAIL, now / 60.0, told)
        if stored.outcome is Outcome.PASS and since >= LEAST:
            if here.last:
                return End(Outcome.PASS, now / 60.0, told)
            stored, step, confirmed, since = checks.restart(stored, trial=False), step + 1, now, 0
    return End(Outcome.INCONCLUSIVE, LOOKS * INTERVAL / 60.0, told)
