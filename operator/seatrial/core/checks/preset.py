"""What a model server or a gateway counts, as data: a preset is one YAML file in `metrics/presets/`.

Placeholders in the values of a selector: `$namespace`, `$pods` (a pattern of pod names), `$service` (the name of a
revision's Service and Deployment), `$route`, `$rule` (the position of the rule with live traffic), `$rules` (a pattern of
their positions, where there are several), `$slot` (0 or 1), `$copies` (the position of the copies among the filters of
the rule), `$model` (the model's name in its server) and `$revision`. In `only` and `never`: `$model`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from seatrial.api.spec import CheckPreset, MetricSource, Runtime
from seatrial.core.promql import Named

_UNITS = {"s": 1.0, "ms": 1000.0, "us": 1e6}
Unit = Literal["s", "ms", "us"]
TIMED = frozenset({CheckPreset.LATENCY, CheckPreset.FIRST_TOKEN, CheckPreset.INTER_TOKEN})
"""Presets of checks that count what took longer than an edge of a histogram."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter, or the buckets of a histogram."""

    metric: str
    """The metric's name."""
    only: Mapping[str, str] = field(default_factory=dict)
    """Patterns (RE2, anchored) that a series' labels match to be counted at all; this is what excludes probes."""
    never: Mapping[str, str] = field(default_factory=dict)
    """Patterns that they do not match: exclusion where the scrape may have a label of the same name."""
    unit: Unit = "s"
    """Histograms: the unit of the bucket edges."""

    @property
    def per_second(self) -> float:
        """How many units make a second."""
        return _UNITS[self.unit]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series is counted; a label that is not there is empty. `$model` was matched when it was asked for."""
        if labels.get("__name__") != self.metric:
            return False
        return all(
            "$model" in pattern or re.fullmatch(pattern, labels.get(label, "")) for label, pattern in self.only.items()
        ) and not any(re.fullmatch(pattern, labels.get(label, "")) for label, pattern in self.never.items())


@dataclass(frozen=True, slots=True)
class Mean:
    """The time to an answer where there are no buckets: a counter of time, and those of what it is the time of."""

    sum: str
    count: tuple[str, ...]
    unit: Unit = "s"


@dataclass(frozen=True, slots=True)
class Template:
    """A check on a query that this preset lends itself to, for `seatrial presets NAME`."""

    name: str
    why: str
    """What it shows, as a sentence without its full stop."""
    query: str
    max: str = ""
    min: str = ""


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
    """Exact values (`=`), or patterns where they hold `$pods` or several `$rules`, or begin with `~` (`=~`), that select
    one revision's series."""
    exists: str
    """A metric that is there as soon as the revision is known, even if no request ever came."""
    proof: str
    """A metric that every scrape of the target holds: shows that an absent series is 0 and not unknown. Where a gateway has
    none, its counter of requests: then the other arm's series show that it was scraped."""
    requests: tuple[Counted, ...]
    """All requests: the sum of these."""
    errors: tuple[Counted, ...] = ()
    """Those that failed: the sum of these; none where the source does not tell."""
    latency: Counted | None = None
    """Buckets of the time to an answer; None where the source has none."""
    mean: Mean | None = None
    """The mean of that time, where there are no buckets: for people and queries."""
    first_token: Counted | None = None
    """Buckets of the time to the first token of an answer."""
    inter_token: Counted | None = None
    """Buckets of the time between two tokens of an answer."""
    excludes: tuple[str, ...] = ()
    """What is not counted, for people."""
    copies: Mapping[str, str] | None = None
    """What selects the copies of live requests that a revision gets; None where they are counted like any request."""
    sees_copies: bool = True
    """Whether copies of live requests are counted at all."""
    cannot_tell: tuple[str, ...] = ()
    """What this source does not see, for people."""
    own_labels: frozenset[str] = frozenset()
    """Labels of the server that are called like those a scrape adds (`endpoint`, `service`, …)."""
    verified: str = ""
    """The version whose page was recorded under a known load; empty where the names are known from a source only."""
    known_from: str = ""
    """How it was recorded, or the source of the names."""
    scrape: str = ""
    """Where Prometheus finds its metrics, for people."""
    only_by_query: str = ""
    """Why no check reads it by itself; empty where checks do."""
    saturation: tuple[str, ...] = ()
    """Metrics that show how full the server is, for people."""
    templates: tuple[Template, ...] = ()
    """Checks on queries that it lends itself to, for people."""
    part: Named | None = None
    """What counts as an error where it is no label of `requests`: series of its own."""
    whole: Named | None = None
    """Which series of `requests` count, where a pattern of one label does not tell."""

    @property
    def called(self) -> str:
        """For sentences, with the reservation that it owes."""
        return self.title if self.verified else f"{self.title} (unverified)"

    def timed(self, kind: CheckPreset | None) -> Counted | None:
        """The buckets that a check on slow answers reads; None where the source has none."""
        return {
            CheckPreset.LATENCY: self.latency,
            CheckPreset.FIRST_TOKEN: self.first_token,
            CheckPreset.INTER_TOKEN: self.inter_token,
        }.get(kind or CheckPreset.ERRORS)

    def answers(self, kind: CheckPreset | None) -> bool:
        """Whether a preset of a check finds what it counts here."""
        return self.timed(kind) is not None if kind in TIMED else bool(self.errors) or self.part is not None

    @property
    def counters(self) -> tuple[Counted, ...]:
        """What is counted of requests and errors."""
        own = () if self.part is None else (Counted(self.part.metric),)
        return (*self.requests, *self.errors, *own)

    @property
    def own_proof(self) -> bool:
        """Whether a scrape shows without a request: a metric that is there in any case."""
        return self.proof not in {counted.metric for counted in self.requests}

    @property
    def by_slot(self) -> bool:
        """Whether a revision's series were another revision's before, and count on."""
        return any("$slot" in value for value in self.selector.values())

    def is_request(self, labels: Mapping[str, str]) -> bool:
        """Whether a series counts requests."""
        if self.whole is not None:
            return self.whole.matches(labels)
        return any(counted.matches(labels) for counted in self.requests)

    def is_error(self, labels: Mapping[str, str]) -> bool:
        """Whether a series counts errors."""
        if self.part is not None:
            return self.part.matches(labels)
        return any(counted.matches(labels) for counted in self.errors)


def shared(counted: Iterable[Counted]) -> Counted:
    """The patterns that several counters have in common: what one question for all of them may ask for."""
    first, *others = counted
    return Counted(
        first.metric,
        {k: v for k, v in first.only.items() if all(one.only.get(k) == v for one in others)},
        {k: v for k, v in first.never.items() if all(one.never.get(k) == v for one in others)},
        first.unit,
    )


def quote(text: str) -> str:
    """A PromQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def literal(text: str) -> str:
    """A pattern that matches just this text (RE2)."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)
