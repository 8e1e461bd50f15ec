"""What the comparer counts, for Prometheus. The number of series is bounded, whatever models answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from seatrial import __version__
from seatrial.compare.sampling import Dropped
from seatrial.compare.verdict import Finding
from seatrial.core.compared import ALL, ANSWERS, CANDIDATE, DROPPED, ITSELF, QUEUE, Result

OTHER = "other"
"""Stands for every output beyond those that get series of their own."""
MOST_OUTPUTS = 16
LONGEST_OUTPUT = 128
"""Characters of an output's name."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# A second series for every counter, with the time of its first increment, helps nobody here.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Meters:
    """Counters of one process."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Gauge("seatrial_compare_info", "The running version, always 1.", ["version"], registry=registry).labels(
            __version__
        ).set(1)
        self.received = Counter(
            "seatrial_compare_received_total", "Copies of live requests that came in.", registry=registry
        )
        self._dropped = Counter(DROPPED, "Copies that were not compared, by reason.", ["reason"], registry=registry)
        self._answers = Counter(
            ANSWERS,
            "Answers held against stable's, by output; `*` is the whole answer.",
            ["pair", "output", "result"],
            registry=registry,
        )
        self._queue = Gauge(QUEUE, "Requests that wait to be asked again.", registry=registry)
        self._asked = Histogram(
            "seatrial_compare_request_seconds",
            "Requests of the comparer's own, by the model that was asked.",
            ["to"],
            buckets=SECONDS,
            registry=registry,
        )
        self._outputs: set[str] = {ALL}
        # There from the first scrape on: an absent series could as well be one that was never scraped.
        for reason in Dropped:
            self._dropped.labels(reason)
        for pair in (CANDIDATE, ITSELF):
            for result in Result:
                self._answers.labels(pair, ALL, result)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Read the queue whenever somebody scrapes."""
        self._queue.set_function(length)

    def dropped(self, reason: Dropped) -> None:
        """A request was not compared."""
        self._dropped.labels(reason).inc()

    def asked(self, to: str, seconds: float) -> None:
        """A model was asked; `to` is `stable` or `candidate`."""
        self._asked.labels(to).observe(seconds)

    def found(self, pair: str, findings: Mapping[str, Finding]) -> None:
        """An answer was compared."""
        for output, finding in findings.items():
            self._answers.labels(pair, self._series_of(output), finding.result).inc()

    def _series_of(self, output: str) -> str:
        if output in self._outputs:
            return output
        if len(self._outputs) > MOST_OUTPUTS or len(output) > LONGEST_OUTPUT or not output.isprintable():
            return OTHER
        self._outputs.add(output)
        return output
