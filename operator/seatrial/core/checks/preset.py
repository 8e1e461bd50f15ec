"""What a model server or a gateway counts, as data: a preset is one YAML file in `metrics/presets/`.

Placeholders in values: `$namespace`, `$pods` (a pattern of pod names), `$route`, `$rule` (the position of the rule
with live traffic), `$rules` (a pattern of their positions, where there are several), `$slot` (0 or 1), `$copies` (the
position of the copies among the filters of the rule), `$model` and `$revision`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seatrial.api.spec import MetricSource, Runtime
from seatrial.core.promql import Named

_UNITS = {"s": 1.0, "ms": 1000.0, "us": 1e6}


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter, or the buckets of a histogram."""

    metric: str
    """The metric's name."""
    only: Mapping[str, str] = field(default_factory=dict)
    """Patterns (RE2, anchored) that a series' labels match to be counted at all; this is what excludes probes."""
    unit: Literal["s", "ms", "us"] = "s"
    """Histograms: the unit of the bucket edges."""

    @property
    def per_second(self) -> float:
        """How many units make a second."""
        return _UNITS[self.unit]


@dataclass(frozen=True, slots=True)
class Preset:
    """How to count one revision's requests, errors and slow answers."""

    name: str
    """As in `seatrial presets`."""
    title: str
    """For sentences: `Envoy Gateway`."""
    source: MetricSource
    """Whether the gateway or the runtime counts."""
    runtimes: tuple[Runtime, ...]
    """The runtimes it is for; empty for a gateway, which serves all of them."""
    selector: Mapping[str, str]
    """Exact values (`=`), or patterns where they hold `$pods` or several `$rules` (`=~`), that select one revision's series."""
    exists: str
    """A metric that is there as soon as the revision is known, even if no request ever came."""
    proof: str
    """A metric that every scrape of the target holds: shows that an absent series is 0 and not unknown."""
    requests: Counted
    """All requests."""
    error_label: str
    """The label of `requests` that tells errors."""
    error_values: str
    """Pattern of that label's values for an error."""
    latency: Counted | None
    """Buckets of the time to an answer; None where the source has none."""
    excludes: tuple[str, ...] = ()
    """What is not counted, for people."""
    copies: Mapping[str, str] | None = None
    """What selects the copies of live requests that a revision gets; None where they are counted like any request."""
    cannot_tell: tuple[str, ...] = ()
    """What this source does not see, for people."""
    part: Named | None = None
    """What counts as an error where it is no label of `requests`: series of its own."""
    whole: Named | None = None
    """Which series of `requests` count, where a pattern of one label does not tell."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all counters of requests and errors."""
        return (self.requests.metric,) if self.part is None else (self.requests.metric, self.part.metric)

    def is_request(self, labels: Mapping[str, str]) -> bool:
        """Whether a series counts requests."""
        return self.whole.matches(labels) if self.whole is not None else labels.get("__name__") == self.requests.metric

    def is_error(self, labels: Mapping[str, str]) -> bool:
        """Whether a series counts errors."""
        if self.part is not None:
            return self.part.matches(labels)
        if labels.get("__name__") != self.requests.metric:
            return False
        return re.fullmatch(self.error_values, labels.get(self.error_label, "")) is not None


def quote(text: str) -> str:
    """A PromQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def literal(text: str) -> str:
    """A pattern that matches just this text (RE2)."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)
