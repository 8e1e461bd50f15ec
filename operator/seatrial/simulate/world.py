"""One trial, driven by the real planner in a world in which everything goes well but the model.

Pods are ready at once, the gateway takes every route at once, Prometheus scrapes on time. What is left is what a team asks about:
steps, looks and verdicts. Counts are drawn by the same chances as in `fleet`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from seatrial.api.spec import ModelDeploymentSpec
from seatrial.api.status import PARTS, Slots, Split, Status, TrafficStatus, Trialled
from seatrial.build.deployment import render
from seatrial.build.names import REVISION_LABEL, child_name
from seatrial.build.revision import revision
from seatrial.core.checks.base import INGESTION
from seatrial.core.checks.reading import LOOK_BACK
from seatrial.core.checks.share import WINDOW
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
from seatrial.simulate.course import Course, as_shares, part_of
from seatrial.simulate.fleet import PASS_TIME, End, Trials
from seatrial.simulate.traffic import Candidate, Traffic, events

NAME, NAMESPACE = "model", "simulated"
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
    """What a look counted, for a test: the candidate's events and requests, and stable's, by check."""

    at: float
    """Seconds since the candidate's exposure began."""
    step: int
    counts: dict[str, tuple[int, int, int, int]]


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
            name: Record(name, render(NAME, NAMESPACE, name, raw), {})
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
        self.samples: dict[tuple[str, str, str], list[tuple[float, float]]] = defaultdict(list)
        """By metric, check and revision."""
        self.sums: dict[tuple[str, str, str], int] = defaultdict(int)
        self.scraped = self.start - LOOK_BACK - 2 * course.scrape
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
                for check in self.course.checks:
                    base = self.traffic.share(check.name, at)
                    since = (self.scraped - (self.exposed_at or self.scraped)).total_seconds()
                    share_of = base if who == self.old else self.candidate.share(check.name, base, np.array([since]))
                    bad = events(self.draw, total, share_of, self.traffic.clump)
                    for metric, more in (("requests_total", total), ("events_total", bad)):
                        key = (metric, check.name, who)
                        self.sums[key] += int(more[0])
                        self.samples[key].append((self.scraped.timestamp(), float(self.sums[key])))

    def weights(self) -> tuple[float, float]:
        """Shares of the live requests that the candidate answers, and that are copied to it, as the route now is."""
        if self.route is None:
            return 0.0, 0.0
        rule = self.route["spec"]["rules"][0]
        refs = {ref["name"]: ref["weight"] for ref in rule["backendRefs"]}
        copies = sum(f["requestMirror"].get("percent", 100) for f in rule.get("filters", ()) if "requestMirror" in f)
        return refs.get(child_name(NAME, self.new), 0) / PARTS, copies / 100.0

    def past(self) -> list[dict[str, tuple[int, int]]]:
        """Stable's windows of the hour before the trial, as a check reads them at its first look."""
        length = max(WINDOW, self.course.interval)
        end = self.now - INGESTION
        count = int(LOOK_BACK / length)

        def at(metric: str, check: str, moment: datetime) -> int:
            samples = self.samples[metric, check, self.old]
            return int(max((value for t, value in samples if t <= moment.timestamp()), default=0.0))

        def window(check: str, index: int) -> tuple[int, int]:
            first, last = end - index * length, end - (index - 1) * length
            bad, total = (at(m, check, last) - at(m, check, first) for m in ("events_total", "requests_total"))
            return bad, total

        return [
            {check.name: window(check.name, index) for check in self.course.checks} for index in range(count, 0, -1)
        ]

    # -- the operator -------------------------------------------------------------------------------------------------

    def observe(self) -> Observed:
        """What the planner sees."""
        return Observed(
            name=NAME,
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
        pods = tuple(Pod(f"{child_name(NAME, name)}-{i}", "", START, ready=True) for i in range(count))
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
        first = (question.start - 3 * self.course.scrape).timestamp()
        out = []
        terms = next(
            terms for check, terms in zip(self.course.checks, self.course.terms, strict=True) if check.name == name
        )
        for metric, shown in (("requests_total", "requests_total"), ("events_total", part_of(terms))):
            inside = [s for s in self.samples[metric, name, who] if first < s[0] <= question.end.timestamp()]
            labels = {"__name__": shown, "check": name, "revision": who, "instance": INSTANCE}
            out.append(Series(labels, tuple(inside)))
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
    if status.paused is not None:
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
    counts = {}
    for check in before.checks:
        now = newest.get(check.name)
        if now is None or now.through == check.through or now.trial is None:
            return
        old = check.trial
        tally = [now.trial.candidate.events, now.trial.candidate.total, now.trial.stable.events, now.trial.stable.total]
        if old is not None:
            less = (old.candidate.events, old.candidate.total, old.stable.events, old.stable.total)
            tally = [a - b for a, b in zip(tally, less, strict=True)]
        counts[check.name] = (tally[0], tally[1], tally[2], tally[3])
    seconds = (world.start + timedelta(seconds=at) - exposed).total_seconds()
    out.looks.append(Look(seconds, was.step, counts))


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
            "checks": as_shares(course),
        },
    }
