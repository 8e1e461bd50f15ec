"""The operator's own metrics. One registry for a process; series of a resource go when it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from seatrial import __version__
from seatrial.api.status import DrillStatus, HistoryEntry, Status
from seatrial.cluster.client import Call
from seatrial.cluster.index import Key

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TRIAL_SECONDS = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400, 3 * 86400, 7 * 86400)


# A second series for every counter, with the time of its first increment, helps nobody here.
disable_created_metrics()  # type: ignore[no-untyped-call]


Shown = tuple[
    str, float, tuple[tuple[str, bool], ...], DrillStatus | None, tuple[str, ...], tuple[tuple[str, bool, str], ...]
]
"""Phase, weight, conditions, drills, sliding checks and watched predictions (name, drifted, state) of a resource."""


class _Resources(Collector):
    """Series of every resource, made when somebody scrapes: a gauge object for each would take ten times as much."""

    def __init__(self, shown: Mapping[Key, Shown], distances: Mapping[Key, Mapping[str, float]]) -> None:
        self._all = shown
        self._distances = distances

    def collect(self) -> Iterable[Metric]:
        """Weight, phase, conditions, drills, sliding checks and watched predictions."""
        who = ["namespace", "name"]
        weight = GaugeMetricFamily(
            "seatrial_candidate_weight_percent", "Live requests confirmed to go to the candidate.", labels=who
        )
        phase = GaugeMetricFamily("seatrial_phase", "1 for the phase the resource is in.", labels=[*who, "phase"])
        condition = GaugeMetricFamily(
            "seatrial_condition", "1 where the condition is True, 0 where it is not.", labels=[*who, "type"]
        )
        back = GaugeMetricFamily(
            "seatrial_drill_back_seconds",
            "Last drill: from the decision to go back until the copy was confirmed at the minimum.",
            labels=who,
        )
        lost = GaugeMetricFamily(
            "seatrial_drill_lost_requests", "Last drill: requests lost; absent where they were not counted.", labels=who
        )
        passed = GaugeMetricFamily(
            "seatrial_drill_last_success_timestamp_seconds", "When a drill last passed.", labels=who
        )
        slides = GaugeMetricFamily(
            "seatrial_quality_sliding",
            "1 for a check that is worse than in the reference release by more than twice the margin.",
            labels=[*who, "check"],
        )
        drifts = GaugeMetricFamily(
            "seatrial_training_drift",
            "1 where live predictions have surely drifted from their training snapshot, 0 where that is not known.",
            labels=[*who, "live"],
        )
        state = GaugeMetricFamily(
            "seatrial_training_drift_state",
            "1 for what is known of live predictions beside their training snapshot.",
            labels=[*who, "live", "state"],
        )
        distance = GaugeMetricFamily(
            "seatrial_training_drift_distance",
            "How far live predictions were from their training snapshot, as measured at the latest look.",
            labels=[*who, "live"],
        )
        for key, (phase_now, weight_now, conditions, drill, sliding, live) in self._all.items():
            for check in sliding:
                slides.add_metric([*key, check], 1)
            measured = self._distances.get(key, {})
            for name, drifted, known in live:
                drifts.add_metric([*key, name], 1 if drifted else 0)
                state.add_metric([*key, name, known], 1)
                if name in measured:
                    distance.add_metric([*key, name], measured[name])
            weight.add_metric(key, weight_now)
            phase.add_metric([*key, phase_now], 1)
            for kind, holds in conditions:
                condition.add_metric([*key, kind], 1 if holds else 0)
            last = drill.last if drill is not None else None
            if last is not None and last.minimum_after is not None:
                back.add_metric(key, last.minimum_after.total_seconds())
            if last is not None and last.lost is not None:
                lost.add_metric(key, last.lost)
            if drill is not None and drill.passed_at is not None:
                passed.add_metric(key, drill.passed_at.timestamp())
        return [weight, phase, condition, back, lost, passed, slides, drifts, state, distance]


class Telemetry:
    """Counters and gauges, and the events that move them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        registry = self.registry
        Gauge("seatrial_build_info", "The running version, always 1.", ["version"], registry=registry).labels(
            __version__
        ).set(1)
        self._leader = Gauge("seatrial_leader", "1 while this process holds the Lease.", registry=registry)
        self._depth = Gauge("seatrial_queue_depth", "Resources that are due and wait for a worker.", registry=registry)
        self._busy = Gauge("seatrial_queue_busy", "Resources being worked on.", registry=registry)
        self._resources = Gauge(
            "seatrial_resources", "ModelDeployments this process has seen and that exist.", registry=registry
        )
        self._late = Histogram(
            "seatrial_queue_latency_seconds", "How late a pass began.", buckets=SECONDS, registry=registry
        )
        self._passes = Counter("seatrial_reconciles_total", "Passes by result.", ["result"], registry=registry)
        self._pass_seconds = Histogram(
            "seatrial_reconcile_seconds", "How long a pass took.", buckets=SECONDS, registry=registry
        )
        self._decisions = Counter(
            "seatrial_decisions_total",
            "Decisions by kind: the reason of the event that tells of each.",
            ["kind"],
            registry=registry,
        )
        self._trials = Counter("seatrial_trials_total", "Trials that ended.", ["outcome", "reason"], registry=registry)
        self._trial_seconds = Histogram(
            "seatrial_trial_seconds", "How long trials took.", ["outcome"], buckets=TRIAL_SECONDS, registry=registry
        )
        self._shown: dict[Key, Shown] = {}
        self._distances: dict[Key, Mapping[str, float]] = {}
        self.registry.register(_Resources(self._shown, self._distances))
        self._api = Counter(
            "seatrial_api_requests_total",
            "Requests to the API server; code 0 is no answer.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self._api_seconds = Histogram(
            "seatrial_api_request_seconds",
            "Requests to the API server, watches left out.",
            ["verb"],
            buckets=SECONDS,
            registry=registry,
        )
        self._prometheus = Counter(
            "seatrial_prometheus_requests_total", "Requests to Prometheus by outcome.", ["outcome"], registry=registry
        )
        self._prometheus_seconds = Histogram(
            "seatrial_prometheus_request_seconds", "Requests to Prometheus.", buckets=SECONDS, registry=registry
        )

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)

    def watch_queue(self, depth: Callable[[], int], busy: Callable[[], int]) -> None:
        """Read the queue whenever somebody scrapes."""
        self._depth.set_function(depth)
        self._busy.set_function(busy)

    def late(self, _key: Key, seconds: float) -> None:
        """A pass began so late."""
        self._late.observe(max(0.0, seconds))

    def leader(self, leading: bool) -> None:
        """The Lease was won or lost."""
        self._leader.set(1 if leading else 0)

    def call(self, call: Call) -> None:
        """A request to the API server was answered, or was not."""
        self._api.labels(call.verb, call.resource, str(call.code)).inc()
        if call.verb != "watch":
            self._api_seconds.labels(call.verb).observe(call.seconds)

    def prometheus(self, outcome: str, seconds: float) -> None:
        """A request to Prometheus was answered, or was not."""
        self._prometheus.labels(outcome).inc()
        self._prometheus_seconds.observe(seconds)

    def passed(self, result: str, seconds: float) -> None:
        """A pass ended."""
        self._passes.labels(result).inc()
        self._pass_seconds.observe(seconds)

    def decided(self, reasons: Iterable[str]) -> None:
        """Decisions were taken and stored."""
        for reason in reasons:
            self._decisions.labels(reason).inc()

    def stored(self, key: Key, before: Status, after: Status) -> None:
        """A resource's status is this now."""
        known = {(entry.revision, entry.ended) for entry in before.history}
        for entry in after.history:
            if (entry.revision, entry.ended) not in known:
                self._ended(entry)
        weight = float(after.weight) if after.weight.replace(".", "", 1).isdigit() else 0.0
        conditions = tuple((condition.type, condition.status == "True") for condition in after.conditions)
        sliding = tuple(one.check for one in after.quality.sliding) if after.quality is not None else ()
        live = tuple((one.name, one.alert is not None, str(one.state)) for one in after.live)
        self._shown[key] = (str(after.phase), weight, conditions, after.drill, sliding, live)
        self._resources.set(len(self._shown))

    def measured(self, key: Key, distances: Mapping[str, float | None]) -> None:
        """Live predictions were held against their training snapshots; what could not be measured has no number any more."""
        known = {**self._distances.get(key, {}), **distances}
        self._distances[key] = {name: distance for name, distance in known.items() if distance is not None}

    def forget(self, key: Key) -> None:
        """A resource is gone, and its series with it."""
        self._shown.pop(key, None)
        self._distances.pop(key, None)
        self._resources.set(len(self._shown))

    def _ended(self, entry: HistoryEntry) -> None:
        self._trials.labels(str(entry.outcome), entry.reason).inc()
        self._trial_seconds.labels(str(entry.outcome)).observe((entry.ended - entry.started).total_seconds())
