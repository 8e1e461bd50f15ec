"""Predictions by bin: where they are counted, and what is sure of the distance of two counts of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from seatrial.api.spec import Drift, DriftStatistic
from seatrial.core import bins, histograms, promql
from seatrial.core.checks.preset import Preset
from seatrial.core.checks.reading import own_metric
from seatrial.core.histograms import Row
from seatrial.core.plain import percent
from seatrial.core.promql import Named
from seatrial.core.questions import NoData, Series
from seatrial.core.statistics import drift as statistics
from seatrial.core.statistics.drift import Measure

MEASURES: Mapping[DriftStatistic, Measure] = {
    DriftStatistic.PSI: statistics.PSI,
    DriftStatistic.JS: statistics.JS,
    DriftStatistic.KS: statistics.KS,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """The metric that holds the predictions."""

    named: Named
    by: str | None
    """The label of the class; None for a histogram."""
    preset: Preset

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the series that are counted."""
        if self.by is not None:
            return (self.named.metric,)
        return (self.named.metric, self.named.metric + histograms.CLASSIC)

    def rows(self, series: Sequence[Series], marks: Sequence[str]) -> list[Row] | NoData:
        """Samples by bin."""
        if self.by is not None:
            return histograms.class_rows(series, self.named, self.by, marks)
        return histograms.rows(series, self.named, [float(mark) for mark in marks])


def subject_of(name: str, asked: Drift) -> Subject | str:
    """What is read for a check of this name, or why it cannot be."""
    text = asked.histogram or asked.classes or ""
    named = promql.named(text)
    if isinstance(named, str):
        return named
    if asked.by is None and named.metric.endswith(histograms.CLASSIC):
        whole = named.metric.removesuffix(histograms.CLASSIC)
        return f"{text} names the buckets: write the histogram's name, {whole}"
    return Subject(named, asked.by, own_metric(name, named.metric, asked.revision_label))


def limit_of(asked: Drift) -> float:
    """The largest distance that is acceptable."""
    return MEASURES[asked.statistic].usual if asked.max is None else float(asked.max)


class Comparison:
    """Two counts over the same bins, those that hold too little put together. `new` may have moved, `old` is held against."""

    def __init__(
        self, asked: Drift, marks: Sequence[str], new: Sequence[int], old: Sequence[int], inflation: float
    ) -> None:
        self.measure, self.limit = MEASURES[asked.statistic], limit_of(asked)
        self.made, self.beside = sum(new), sum(old)
        self._ordered, self._marks, self._inflation = asked.histogram is not None, marks, max(1.0, inflation)
        self._groups = statistics.together(new, old, ordered=self._ordered)
        self._a, self._b = statistics.sums(new, self._groups), statistics.sums(old, self._groups)

    @property
    def floor(self) -> float:
        """Predictions that each side must have before any verdict."""
        return statistics.FLOOR * self._inflation

    @property
    def size(self) -> float:
        """The effective sample size; 0 while one side is empty."""
        return 1.0 / statistics.spread(self._a, self._b, self._inflation)

    def distance(self) -> Decimal | None:
        """As measured; None while one side is empty."""
        return Decimal(f"{self.measured():.6f}") if self.made and self.beside else None

    def measured(self) -> float:
        """The same as a number, where neither side is empty."""
        return self.measure.measured(self._a, self._b)

    def above(self, nats: float) -> bool:
        """Whether the true distance surely exceeds the limit; wrong with a chance of e^-nats at most."""
        return self.measure.above(self._a, self._b, self.limit, self._inflation, nats)

    def below(self, nats: float) -> bool:
        """Whether the true distance is surely under the limit."""
        return self.measure.below(self._a, self._b, self.limit, self._inflation, nats)

    def growth(self, nats: float) -> float | None:
        """How many times as many predictions make it surely under the limit; None for never."""
        return self.measure.growth(self._a, self._b, self.limit, self._inflation, nats)

    def moved(self) -> str:
        """The bin that moved most, and its share on both sides."""
        p, q = statistics.smoothed(self._a), statistics.smoothed(self._b)
        most = max(range(len(p)), key=lambda i: (p[i] - q[i]) * math.log(p[i] / q[i]))
        before, after = self._b[most] / self.beside, self._a[most] / self.made
        return f"{self._told(self._groups[most])}: {_percent(before)} → {_percent(after)}"

    def _told(self, group: Sequence[int]) -> str:
        if self._ordered:
            return bins.told_bin([float(mark) for mark in self._marks], group)
        named = [self._marks[index] for index in group if index < len(self._marks)]
        if len(group) == 1 and named:
            return named[0]
        return f"{named[0]} and rarer classes" if named else "other classes"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %" if share >= 0.001 or share == 0 else f"{percent(share)[:-1]} %"
