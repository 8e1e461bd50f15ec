"""What the planner needs to know from outside, as data: `ask` makes questions, the shell brings answers.

Keeping the questions pure is what lets a simulated world and a real Prometheus serve the same planner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class CounterQuestion:
    """Raw samples of every series that a selector matches, over a stretch of time.

    `selector` is a PromQL vector selector without a range. The answer holds the samples in
    (`start` - lookback, `end`], where the lookback is long enough to hold the last scrape before `start`.
    """

    key: str
    selector: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class InstantQuestion:
    """One number for one PromQL query at one instant."""

    key: str
    query: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ExistsQuestion:
    """Whether a selector had any series between two instants; the answer is a `Found` or a `Missing`."""

    key: str
    selector: str
    start: datetime
    end: datetime


MetricQuestion = CounterQuestion | InstantQuestion | ExistsQuestion


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of a native histogram: the numbers in (left, right], and how many of them there were."""

    left: float
    right: float
    count: float


@dataclass(frozen=True, slots=True)
class Series:
    """One time series: its labels and raw samples, ascending in time (Unix seconds, value)."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]
    """Of a native histogram: how many numbers it has counted."""
    buckets: tuple[tuple[Bucket, ...], ...] = ()
    """Of a native histogram, for each sample: its buckets that are not empty, ascending. Of others nothing."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Answer to a `CounterQuestion`."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """Answer to an `InstantQuestion`: exactly one number, not NaN (it may be infinite)."""

    value: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoData:
    """The query was answered, and there was nothing: an empty vector, or NaN. Says which."""

    message: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The question was not answered, or not in a usable form: time-out, HTTP error, several series,
    a partial answer, no Prometheus. The sentence says which and names the address."""

    message: str


@dataclass(frozen=True, slots=True)
class Found:
    """Answer to an `ExistsQuestion`."""

    series: int


@dataclass(frozen=True, slots=True)
class Missing:
    """Answer to an `ExistsQuestion`: nothing there; `nearest` are names that do exist, closest first."""

    nearest: tuple[str, ...] = ()


MetricAnswer = Counters | Value | NoData | Failure | Found | Missing


@dataclass(frozen=True, slots=True)
class DryRunQuestion:
    """Would the API server take this new Deployment? Asked once for each new revision."""

    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DryRunAnswer:
    """`refused` is the API server's message for a template that can never work (a 4xx other than
    409, 429 and a quota's 403); `failed` says why it could not be asked; both empty: accepted."""

    refused: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class PreflightQuestion:
    """Send the recorded requests to these pods and compare. Identity is (`revision`, `pods`)."""

    revision: str
    config_map: str
    model_name: str
    model_version: str | None
    tolerance: float
    timeout: float
    port: int
    pods: tuple[tuple[str, str], ...]
    """(pod name, pod IP)."""


@dataclass(frozen=True, slots=True)
class PreflightAnswer:
    """`passed` with a sentence ("40 recorded requests answered as expected by 2 pods"), or the first
    difference (row, field, expected, got). `pending` while it runs; the key is woken when it ends.
    `failed` says why it could not be done (the ConfigMap is missing): it holds, it does not fail the model."""

    pending: bool = False
    passed: bool = False
    message: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotAnswer:
    """What a ConfigMap named as a training snapshot holds, or why it cannot be read: it does not exist (`missing`), or a
    sentence (`failed`)."""

    data: Mapping[str, object] = field(default_factory=dict)
    missing: bool = False
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Questions:
    """Everything one pass wants to know."""

    metrics: tuple[MetricQuestion, ...] = ()
    dry_run: DryRunQuestion | None = None
    preflight: PreflightQuestion | None = None
    snapshots: tuple[str, ...] = ()
    """Names of ConfigMaps."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers to one pass's questions; a metric question without an entry counts as a `Failure`."""

    metrics: Mapping[str, MetricAnswer] = field(default_factory=dict)
    dry_run: DryRunAnswer | None = None
    preflight: PreflightAnswer | None = None
    scrape_interval: float | None = None
    """Seconds between scrapes, as seen in the samples; None where unknown."""
    snapshots: Mapping[str, SnapshotAnswer] = field(default_factory=dict)
    """By the ConfigMap's name."""
