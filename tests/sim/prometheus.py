"""A Prometheus of the simulated world: scrapes counters, answers questions, and can misbehave."""

from __future__ import annotations

import math
import re
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from seatrial.core.questions import (
    CounterQuestion,
    Counters,
    ExistsQuestion,
    Failure,
    Found,
    InstantQuestion,
    MetricAnswer,
    MetricQuestion,
    Missing,
    NoData,
    Series,
    Value,
)
from seatrial.metrics.source import CLOCKS_APART

LOOKBACK = 60.0
RETENTION = 7200.0
"""How long samples are kept, in seconds; no question reaches further back."""
SLOWNESS = 4.0
"""Seconds that a slow answer takes."""
Labels = tuple[tuple[str, str], ...]
Predicate = Callable[[str], bool]


class Weather(StrEnum):
    """How Prometheus is today."""

    FINE = "fine"
    DOWN = "down"
    EMPTY = "empty"
    NAN = "NaN"
    SLOW = "slow"
    """It answers, after `SLOWNESS`."""
    TIMES_OUT = "times out"
    STALE = "stale"
    """It answers, and has scraped nothing since."""
    PARTIAL = "partial"
    """It answers with a part of the series, and says so in a warning, as Thanos does."""


@dataclass
class SimPrometheus:
    """Samples by series, scraped from counters that the world keeps."""

    interval: float = 5.0
    weather: Weather = Weather.FINE
    series: dict[Labels, list[tuple[float, float]]] = field(default_factory=dict)
    scraped: float = float("-inf")
    value: float = 1.0
    """What a query check reads."""
    asked: int = 0
    _trimmed: float = 0.0

    def due(self, now: datetime) -> bool:
        """Whether it is time for a scrape."""
        return now.timestamp() - self.scraped >= self.interval

    def scrape(self, now: datetime, counters: Mapping[Labels, float]) -> None:
        """Take a sample of every counter."""
        at = self.scraped = now.timestamp()
        if self.weather is Weather.STALE:
            return
        for labels, value in counters.items():
            self.series.setdefault(labels, []).append((at, value))
        if at - self._trimmed > RETENTION:
            self._trimmed = at
            for labels, samples in list(self.series.items()):
                del samples[: bisect(samples, (at - RETENTION, math.inf))]
                if not samples:
                    del self.series[labels]

    def answer(
        self, questions: Iterable[MetricQuestion], skew: timedelta = timedelta(0)
    ) -> tuple[dict[str, MetricAnswer], float | None]:
        """Answers by key, and the scrape interval. `skew`: how far the clock of whoever asks is ahead."""
        out = {}
        for question in questions:
            self.asked += 1
            out[question.key] = self._one(question, skew.total_seconds())
        return out, self.interval if self.weather is Weather.FINE and not skew else None

    def _one(self, question: MetricQuestion, skew: float) -> MetricAnswer:
        if self.weather is Weather.DOWN:
            return Failure("Prometheus at http://prometheus:9090 refuses the connection")
        if self.weather is Weather.TIMES_OUT:
            return Failure("Prometheus at http://prometheus:9090 did not answer within 10 s")
        if abs(skew) > CLOCKS_APART:  # as metrics/source.py finds it
            return Failure(f"the clock of Prometheus at http://prometheus:9090 is {-skew:+.0f} s off")
        empty = self.weather in (Weather.EMPTY, Weather.NAN)
        warnings = ("partial response: store thanos-1 is down",) if self.weather is Weather.PARTIAL else ()
        match question:
            case InstantQuestion():
                if empty:
                    return NoData("empty vector")
                return Value(self.value, warnings)
            case ExistsQuestion(selector=selector):
                found = [] if empty else list(self._matching(selector))
                return Found(len(found)) if found else Missing(("nearest_name",))
            case CounterQuestion(selector=selector, start=start, end=end):
                if self.weather is Weather.EMPTY:
                    return Counters(())
                first, last = (start.timestamp() - LOOKBACK, math.inf), (end.timestamp(), math.inf)
                out = []
                for labels in self._matching(selector):
                    samples = self.series[labels] if self.weather is not Weather.NAN else []
                    inside = tuple(samples[bisect(samples, first) : bisect(samples, last)])
                    if inside or self.weather is Weather.NAN:
                        # Samples that are no number are left out, and their series stays (metrics/source.py).
                        out.append(Series(dict(labels), inside))
                return Counters(tuple(out[::2] if warnings else out), warnings)

    def _matching(self, selector: str) -> Iterable[Labels]:
        matchers = parse_selector(selector)
        for labels in sorted(self.series):
            have = dict(labels)
            if all(ok(have.get(label, "")) for label, ok in matchers):
                yield labels


@lru_cache(maxsize=4096)
def parse_selector(selector: str) -> list[tuple[str, Predicate]]:
    """(label, predicate) pairs of a vector selector without a range; its name is a label as well."""
    found = re.fullmatch(r"\s*([a-zA-Z_:][\w:]*)?\s*(?:\{(.*)\})?\s*", selector, re.DOTALL)
    assert found is not None, selector
    matchers = [("__name__", _predicate("=", found[1]))] if found[1] else []
    for label, operator, raw in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"', found[2] or ""):
        matchers.append((label, _predicate(operator, raw.replace("\\\\", "\\"))))
    return matchers


def _predicate(operator: str, value: str) -> Predicate:
    if operator == "=":
        return lambda have: have == value
    if operator == "!=":
        return lambda have: have != value
    pattern = re.compile(value)
    if operator == "=~":
        return lambda have: pattern.fullmatch(have) is not None
    return lambda have: pattern.fullmatch(have) is None
