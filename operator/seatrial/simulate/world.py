"""One trial, driven by the real planner in a world in which everything goes well but the model.

Pods are ready at once, the gateway takes every route at once, Prometheus scrapes on time. What is left is what a team asks about:
steps, looks and verdicts. Counts are drawn by the same chances as in `fleet`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from seatrial.api.spec import Check, ModelDeploymentSpec
from seatrial.api.status import PARTS, Arms, DriftStatus, Slots, Split, Status, TrafficStatus, Trialled
from seatrial.build.deployment import render
from seatrial.build.names import REVISION_LABEL, child_name
from seatrial.build.revision import revision
from seatrial.core.checks.base import INGESTION
from seatrial.core.checks.reading import LOOK_BACK
from seatrial.core.checks.share import WINDOW
from seatrial.core.histograms import CLASSIC
from seatrial.core.legs import Kind
from seatrial.core.outcome import ApplyOutcome
from seatrial.core.plan import after_apply, ask, plan
from seatrial.core.questions import (
    Answers,
    CounterQuestion,
    Counters,
    DryRunAnswer,
    ExistsQuestion,
    Found,
    MetricAnswer,
    Questions,
    Series,
)
from seatrial.core.routers.gateway_api import parse_route
from seatrial.core.state import Installation, Manifest, Observed, Plan, Pod, Record, Route, Workload
from seatrial.simulate.course import CLASS, CLASSES, EVENTS, REQUESTS, REVISION, SCORES, Course, as_simulated, part_of
from seatrial.simulate.fleet import PASS_TIME, End, Trials
from seatrial.simulate.traffic import Candidate, Traffic, events

_Key = tuple[str, str, str, str]
"""Metric, check, revision, and the bucket or class; nothing where there is none."""
NAMESPACE = "simulated"
START = datetime(2026, 1, 5, tzinfo=UTC)
"""The midnight from which the hours of the day count."""
INSTANCE = "simulated:80"
TRIES = 4
WORDS = {
    End.OPEN: "still open",
    End.ACCEPTED: "accepted",
    End.BACK: "sent back",
    End.BACK_LATER: "sent back later",
    End.UNDECIDED: "undecided",
    End.PAUSED: "paused",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """What a second pass of the trial looked like."""

    at: float
    """Seconds since the trial began."""
    phase: str
    weight: float
    """Percent of live requests that the candidate gets."""
    copied: int
    """Percent of live requests of which it gets a copy."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look counted, for a test."""

    at: float
    """Seconds since the candidate's exposure began."""
    step: int
    counts: dict[str, tuple[int, int, int, int]]
    """The candidate's events and requests, and stable's, by check."""
    predictions: dict[str, tuple[list[int], list[int]]]
    """Of drift checks: the candidate's by bin, and stable's."""


@dataclass(slots=True)
class Voyage:
    """A trial that is over."""

    end: str
    """One of `WORDS`."""
    moments: list[Moment] = field(default_factory=list)
    said: list[tuple[float, str]] = field(default_factory=list)
    """Seconds since the trial began, and what the operator said."""
    looks: list[Look] = field(default_factory=list)
    past: list[dict[str, tuple[int, int]]] = field(default_factory=list)
    """Stable's windows before the trial, events and requests by check, in order."""
    bins: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Of drift checks: how many bins were chosen, and the inflation of stable's counts."""


class World:
    """Everything there is, at `now`."""

    def __init__(self, course: Course, traffic: Traffic, candidate: Candidate, seed: int) -> None:
        self.course, self.traffic, self.candidate = course, traffic, candidate
        self.draw = np.random.default_rng(seed)
        self.start = START + timedelta(seconds=float(traffic.begins(self.draw, 1)[0]) // 3600.0 * 3600.0)
        self.now = self.start
        self.raw = _spec(course)
        old = {**self.raw, "template": {"spec": {"containers": [{"name": "model", "image": "model:v1"}]}}}
        self.old, self.new = revision(old), revision(self.raw)
        self.spec = ModelDeploymentSpec.model_validate(self.raw)
        self.records = {
            name: Record(name, render(course.name, NAMESPACE, name, raw), {})
            for name, raw in ((self.old, old), (self.new, self.raw))
        }
        all_of_it = Split(a=PARTS)
        self.status = Status(
            stable=self.old,
            traffic=TrafficStatus(slots=Slots(a=self.old), wanted=all_of_it, confirmed=all_of_it),
        )
        self.route: Manifest | None = None
        self.pods: dict[str, int] = {self.old: 1}
        self.installation = Installation(gateway=("gateways", "public"), prometheus="simulated", dwell=course.dwell)
        self.samples: dict[_Key, list[tuple[float, float]]] = defaultdict(list)
        self.sums: dict[_Key, int] = defaultdict(int)
        self.late: dict[_Key, deque[tuple[float, int]]] = defaultdict(deque)
        """What has happened and will be counted: when, and how many."""
        delay = timedelta(seconds=max(traffic.delays.values(), default=0.0))
        self.scraped = self.start - LOOK_BACK - 2 * course.scrape - delay
        self.exposed_at: datetime | None = None

    # -- requests -----------------------------------------------------------------------------------------------------

    def flow(self, until: datetime) -> None:
        """Requests come, and are scraped, until then."""
        while self.scraped + self.course.scrape <= until:
            self.scraped += self.course.scrape
            seconds = self.course.scrape.total_seconds()
            at = np.array([(self.scraped - START).total_seconds() - seconds / 2.0])
            requests = float(self.traffic.rates(at)[0]) * seconds
            live, copied = self.weights()
            for who, share in ((self.old, 1.0 - live), (self.new, live + copied)):
                total = self.draw.poisson(np.array([max(0.0, requests * share)]))
                since = (self.scraped - (self.exposed_at or self.scraped)).total_seconds()
                for check in self.course.checks:
                    base = self.traffic.share(check.name, at)
                    share_of = base if who == self.old else self.candidate.share(check.name, base, np.array([since]))
                    bad = events(self.draw, total, share_of, self.traffic.clump)
                    delay = self.traffic.delays.get(check.name, 0.0)
                    self._count((REQUESTS, check.name, who, ""), int(total[0]), delay if self.traffic.all_late else 0.0)
                    self._count((EVENTS, check.name, who, ""), int(bad[0]), delay)
                for check in self.course.drifts:
                    self._predict(check, who, int(total[0]), since)

    def _predict(self, check: Check, who: str, total: int, since: float) -> None:
        shares = self.traffic.predictions[check.name]
        if who == self.new and since >= self.candidate.late:
            shares = self.candidate.predictions.get(check.name, shares)
        found = self.draw.multinomial(total, np.array(shares.parts) / sum(shares.parts))
        histogram = check.drift is not None and check.drift.histogram is not None
        metric, held = SCORES + CLASSIC if histogram else CLASSES, np.cumsum(found) if histogram else found
        for mark, more in zip(shares.marks, held, strict=True):
            self._count((metric, check.name, who, mark), int(more))

    def _count(self, key: _Key, more: int, delay: float = 0.0) -> None:
        """Let a counter rise, now or so many seconds later, and be scraped."""
        now, late = self.scraped.timestamp(), self.late[key]
        late.append((now + delay, more))
        while late and late[0][0] <= now:
            self.sums[key] += late.popleft()[1]
        self.samples[key].append((now, float(self.sums[key])))

    def weights(self) -> tuple[float, float]:
        """Shares of the live requests that the candidate answers, and that are copied to it, as the route now is."""
        if self.route is None:
            return 0.0, 0.0
        rule = self.route["spec"]["rules"][0]
        refs = {ref["name"]: ref["weight"] for ref in rule["backendRefs"]}
        copies = sum(f["requestMirror"].get("percent", 100) for f in rule.get("filters", ()) if "requestMirror" in f)
        return refs.get(child_name(self.course.name, self.new), 0) / PARTS, copies / 100.0

    def past(self) -> list[dict[str, tuple[int, int]]]:
        """Stable's windows of the hour before the trial, as a check reads them at its first look."""
        length = max(WINDOW, self.course.interval)
        end = self.now - INGESTION
        count = int(LOOK_BACK / length)

        def at(metric: str, check: str, moment: datetime) -> int:
            samples = self.samples[metric, check, self.old, ""]
            before = bisect_right(samples, (moment.timestamp(), math.inf))
            return int(samples[before - 1][1]) if before else 0

        def window(check: str, index: int) -> tuple[int, int]:
            first, last = end - index * length, end - (index - 1) * length
            bad, total = (at(m, check, last) - at(m, check, first) for m in (EVENTS, REQUESTS))
            return bad, total

        return [
            {check.name: window(check.name, index) for check in self.course.checks} for index in range(count, 0, -1)
        ]

    # -- the operator -------------------------------------------------------------------------------------------------

    def observe(self) -> Observed:
        """What the planner sees."""
        return Observed(
            name=self.course.name,
            namespace=NAMESPACE,
            uid="simulated",
            generation=1,
            created=START,
            deleting=False,
            spec=self.spec,
            raw_spec=self.raw,
            status=self.status,
            records=self.records,
            workloads={name: self._workload(name, count) for name, count in self.pods.items()},
            populated=frozenset(name for name, count in self.pods.items() if count),
            route=self._read(),
        )

    def _workload(self, name: str, count: int) -> Workload:
        pods = tuple(Pod(f"{child_name(self.course.name, name)}-{i}", "", START, ready=True) for i in range(count))
        return Workload(name, "simulated", count, pods)

    def _read(self) -> Route | None:
        if self.route is None:
            return None
        said = {"type": "Accepted", "status": "True", "observedGeneration": self.route["metadata"]["generation"]}
        parents = [{"parentRef": ref, "conditions": [said]} for ref in self.route["spec"]["parentRefs"]]
        return parse_route({**self.route, "status": {"parents": parents}})

    def answers(self, questions: Questions) -> Answers:
        """What Prometheus says."""
        found: dict[str, MetricAnswer] = {}
        for question in questions.metrics:
            match question:
                case ExistsQuestion():
                    found[question.key] = Found(1)
                case CounterQuestion():
                    found[question.key] = self._counters(question)
        dry_run = DryRunAnswer() if questions.dry_run is not None else None
        return Answers(metrics=found, dry_run=dry_run, scrape_interval=self.course.scrape.total_seconds())

    def _counters(self, question: CounterQuestion) -> Counters:
        name, side = question.key.rsplit("/", 1)
        who = self.new if side == "candidate" else self.old
        first, last = (question.start - 3 * self.course.scrape).timestamp(), question.end.timestamp()
        out = []
        pairs = zip(self.course.checks, self.course.terms, strict=True)
        shown = next(({EVENTS: part_of(terms)} for one, terms in pairs if one.name == name), {})
        for (metric, check, revision_, mark), samples in self.samples.items():
            if (check, revision_) != (name, who):
                continue
            labels = {"__name__": shown.get(metric, metric), "check": name, REVISION: who, "instance": INSTANCE}
            labels |= {"le": mark} if metric == SCORES + CLASSIC else {CLASS: mark} if metric == CLASSES else {}
            begin, end = bisect_right(samples, (first, math.inf)), bisect_right(samples, (last, math.inf))
            out.append(Series(labels, tuple(samples[begin:end])))
        return Counters(tuple(out))

    def step(self) -> Plan:
        """One pass; time then goes on to the next one."""
        observed = self.observe()
        questions = ask(observed, self.now, self.installation)
        decided = plan(observed, self.answers(questions), self.now, self.installation)
        changed = self._apply(decided)
        self.status = after_apply(decided, ApplyOutcome(), self.now)
        wake = decided.wake_in or timedelta(hours=1)
        self.now += min(wake, timedelta(seconds=PASS_TIME)) if changed else wake
        return decided

    def _apply(self, decided: Plan) -> bool:
        pods = {
            m["metadata"]["labels"][REVISION_LABEL]: int(m["spec"]["replicas"])
            for m in decided.apply
            if m["kind"] == "Deployment"
        }
        route = next((m for m in decided.apply if m["kind"] == "HTTPRoute"), None)
        changed = pods != self.pods
        self.pods = pods
        if route is not None and (self.route is None or route["spec"] != self.route["spec"]):
            generation = 1 if self.route is None else self.route["metadata"]["generation"] + 1
            self.route = {**route, "metadata": {**route["metadata"], "generation": generation}}
            changed = True
        return changed


def sail(course: Course, traffic: Traffic, candidate: Candidate, seed: int, horizon: float) -> Voyage:
    """A whole trial, and its probation."""
    world = World(course, traffic, candidate, seed)
    out = Voyage(WORDS[End.OPEN])
    began = world.now
    world.flow(world.now)
    out.past = world.past()
    while (world.now - began).total_seconds() < horizon:
        now, before = world.now, world.status
        world.flow(now)
        decided = world.step()
        status, at = world.status, (now - began).total_seconds()
        if world.exposed_at is None and status.rollout is not None and status.rollout.exposed:
            world.exposed_at = now
        _watch(out, world, before, at)
        out.said += [(at, said) for said in decided.notes if _worth(said)]
        live, copied = world.weights()
        moment = Moment(at, str(status.phase), live * 100.0, round(copied * 100.0))
        if not out.moments or (moment.phase, moment.weight, moment.copied) != (
            out.moments[-1].phase,
            out.moments[-1].weight,
            out.moments[-1].copied,
        ):
            out.moments.append(moment)
        if (end := _end(status)) is not None:
            out.end = end
            break
    else:
        if world.status.probation is not None:
            out.end = WORDS[End.ACCEPTED]
    out.moments.append(Moment((world.now - began).total_seconds(), out.moments[-1].phase, *_last(out)))
    return out


def typical(
    course: Course, traffic: Traffic, candidate: Candidate, trials: Trials, seed: int, horizon: float
) -> Voyage:
    """A trial that ends as most of the fleet's did; after a few that did not, the first one."""
    ends = [End(int(end)) for end in trials.end]
    commonest = max(sorted(set(ends)), key=ends.count)
    sailed = []
    for number in range(TRIES):
        voyage = sail(course, traffic, candidate, seed * 1000 + number, horizon)
        if voyage.end == WORDS[commonest]:
            return voyage
        sailed.append(voyage)
    return sailed[0]


def _last(out: Voyage) -> tuple[float, int]:
    return out.moments[-1].weight, out.moments[-1].copied


def _end(status: Status) -> str | None:
    """How the trial ended, once nothing more can come of it."""
    if status.paused is not None and status.probation is None:  # what is accepted already waits for nobody
        return WORDS[End.UNDECIDED if status.paused.by.startswith("strategy") else End.PAUSED]
    if status.rollout is not None or status.probation is not None or not status.history:
        return None
    newest = status.history[0]
    if newest.outcome is Trialled.PROMOTED:
        return WORDS[End.ACCEPTED]
    if len(status.history) > 1:
        return WORDS[End.BACK_LATER]
    return WORDS[End.UNDECIDED if newest.reason == "Undecided" else End.BACK]


def _watch(out: Voyage, world: World, before: Status, at: float) -> None:
    """Keep what a look has counted."""
    after, exposed = world.status, world.exposed_at
    was = before.rollout or (before.probation.watch if before.probation is not None else None)
    begins = before.probation is None and after.probation is not None
    if exposed is None or was is None or not was.exposed or not before.checks or begins:
        return
    newest = {check.name: check for check in world.status.checks}
    counts, predictions = {}, {}
    for check in before.checks:
        now = newest.get(check.name)
        if now is None:
            continue  # this stage cannot answer it
        if now.through == check.through:
            return
        if now.drift is not None:
            out.bins[check.name] = len(now.drift.marks) + 1, now.drift.inflation / 1000.0
            predictions[check.name] = _predicted(check.drift, now.drift)
            continue
        if now.trial is None:
            return
        new, old = _tally(now.trial), _tally(check.trial or Arms())
        counts[check.name] = (new[0] - old[0], new[1] - old[1], new[2] - old[2], new[3] - old[3])
    seconds = (world.start + timedelta(seconds=at) - exposed).total_seconds()
    out.looks.append(Look(seconds, was.step, counts, predictions))


def _tally(arms: Arms) -> tuple[int, int, int, int]:
    return arms.candidate.events, arms.candidate.total, arms.stable.events, arms.stable.total


def _predicted(before: DriftStatus | None, now: DriftStatus) -> tuple[list[int], list[int]]:
    have, none = before or DriftStatus(), [0] * (len(now.marks) + 1)
    mine, others = (
        [a - b for a, b in zip(new or none, old or none, strict=True)]
        for new, old in ((now.candidate, have.candidate), (now.stable, have.stable))
    )
    return mine, others


def _worth(said: str) -> bool:
    """Whether a sentence tells of the trial, and not of weights being written."""
    own = ("weights a/b", "copies of live", "revision ")
    return not said.startswith(own) or any(word in said for word in (" accepted", " back", " passed "))


def _spec(course: Course) -> dict[str, Any]:
    """The course as a spec of a model that needs one pod."""
    stages: list[dict[str, Any]] = []
    for leg in course.legs:
        times = {
            "minDuration": f"{leg.min_duration.total_seconds():.0f}s",
            "maxDuration": f"{leg.max_duration.total_seconds():.0f}s",
        }
        match leg.kind:
            case Kind.SHADOW:
                stages.append({"shadow": {"percent": leg.mirror, **times}})
            case Kind.BLUE_GREEN:
                stages.append({"blueGreen": times})
            case Kind.CANARY:
                if not stages or "canary" not in stages[-1]:
                    stages.append({"canary": {"steps": []}})
                stages[-1]["canary"]["steps"].append({"weight": leg.weight, **times})
    return {
        "replicas": 1,
        "port": 8080,
        "template": {"spec": {"containers": [{"name": "model", "image": "model:v2"}]}},
        "traffic": {
            "hostnames": ["model.example.com"],
            "drain": f"{course.drain.total_seconds():.0f}s",
        },
        "strategy": {
            "stages": stages,
            "onUndecided": str(course.on_undecided),
            "probation": {
                "duration": f"{course.probation.total_seconds():.0f}s",
                "holdback": course.holdback,
                "keep": "Full",
            },
        },
        "analysis": {
            "interval": f"{course.interval.total_seconds():.0f}s",
            "minSamples": course.min_samples,
            "checks": as_simulated(course),
        },
    }
