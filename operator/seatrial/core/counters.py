"""Exact counts from raw samples of counters.

PromQL's `increase()` extrapolates and is blind to the first value of a new series; a candidate's first
errors are exactly that. So samples are fetched raw and counted here:

* A counter's value *at* an instant is its last sample at or before it. The count between two instants is
  the difference of the two values. Consecutive looks therefore add up to one long look, to the last request.
* A value that falls, or a series that was missing in a scrape in between, means that the counter began
  anew at 0: what it counted since is added.
* A series without a sample at the first instant counts from 0 where its target had been scraped by then
  (the series was not born yet), or where its pod was born after this chain of looks began. Otherwise nobody
  knows what it had counted before: `NoData`.
* A series that ends counts to its last sample.
* *Staleness.* A sample does not expire: what a target counted while it was not scraped belongs to the look in
  which it is scraped again. The price is paid where it is owed: a target is *fresh* at an instant when its
  last scrape is at most 2.5 of its own scrape intervals old, and whoever judges asks for that.
  (Range selectors leave stale markers out, so a series that vanished shows only as a missing sample.)

Times are Unix seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Protocol, TypeVar

from seatrial.core.questions import NoData, Series

STALE_AFTER = 2.5
"""Scrape intervals after which a target counts as not scraped."""
DEFAULT_INTERVAL = 60.0
"""Seconds between scrapes where the samples do not tell."""

_COPIES = frozenset({"job", "endpoint", "service", "prometheus", "prometheus_replica", "replica", "cluster_replica"})
"""Labels in which two copies of one counter differ when its pod is scraped by two jobs or two Prometheus."""

Target = tuple[tuple[str, str], ...]
"""What tells one scraped endpoint from another: its job and instance, or its namespace and pod."""


class Labelled(Protocol):
    """Whatever has the labels of a series."""

    @property
    def labels(self) -> Mapping[str, str]:
        """By name."""


S = TypeVar("S", bound=Labelled)


@dataclass(frozen=True, slots=True)
class Scrapes:
    """When each target was scraped, as far as the samples show."""

    times: Mapping[Target, tuple[float, ...]]
    """Ascending."""
    pods: Mapping[Target, str]
    """The pod behind a target, where its labels name one."""

    def interval(self, target: Target | None = None) -> float | None:
        """Seconds between two scrapes: the median gap of one target, or the longest of all of them."""
        if target is not None:
            times = self.times.get(target, ())
            gaps = [b - a for a, b in pairwise(times)]
            return median(gaps) if gaps else None
        known = [found for found in map(self.interval, self.times) if found is not None]
        return max(known, default=None)

    def last(self, target: Target, at: float) -> float | None:
        """The last scrape at or before an instant."""
        times = self.times.get(target, ())
        index = bisect_right(times, at)
        return times[index - 1] if index else None

    def fresh(self, target: Target, at: float) -> bool:
        """Whether the target was being scraped at that instant."""
        last = self.last(target, at)
        if last is None:
            return False
        interval = self.interval(target) or self.interval() or DEFAULT_INTERVAL
        return at - last <= STALE_AFTER * interval

    def between(self, target: Target, after: float, before: float) -> bool:
        """Whether there was a scrape strictly between two instants."""
        times = self.times.get(target, ())
        return bisect_right(times, after) < bisect_left(times, before)


def target_of(labels: Mapping[str, str]) -> Target:
    """The scraped endpoint that a series comes from."""
    if "instance" in labels:
        return (("instance", labels["instance"]), ("job", labels.get("job", "")))
    return (("namespace", labels.get("namespace", "")), ("pod", labels.get("pod", "")))


def scrapes(series: Iterable[Series], *, up: str = "up") -> Scrapes:
    """Collect the scrapes that these series show: all samples of one scrape bear the same time.

    A sample of `up` with value 0 is a scrape that failed.
    """
    times: dict[Target, set[float]] = {}
    pods: dict[Target, str] = {}
    for one in series:
        target = target_of(one.labels)
        alive = one.labels.get("__name__") != up
        times.setdefault(target, set()).update(t for t, value in one.samples if alive or value == 1.0)
        if pod := one.labels.get("pod"):
            pods[target] = pod
    return Scrapes({target: tuple(sorted(seen)) for target, seen in times.items() if seen}, pods)


def scrape_interval(series: Iterable[Series]) -> float | None:
    """Seconds between scrapes as the samples show them; the longest where targets differ; None if they cannot."""
    return scrapes(series).interval()


def risen(
    series: Sequence[Series],
    start: float,
    end: float,
    seen: Scrapes,
    born: Mapping[str, float],
    *,
    since: float | None = None,
    own: AbstractSet[str] = frozenset(),
) -> float | NoData:
    """How much all these counters rose between two instants: of money or seconds, no whole number.

    `seen` are the scrapes of their targets, `born` the creation times of pods by name, `since` is when the chain of
    looks began that this one continues (left out: at `start`). A pod that was born in an earlier look and not
    scraped before it ended has not been counted yet, so all it has counted is new. `own` as in `without_copies`.
    """
    found = []
    young = born_since(born, start, since)
    for one in without_copies(series, own):
        rise = _rise(one, start, end, seen, young)
        if rise is None:
            return unknown_past(one, start, seen)
        found.append(rise)
    return math.fsum(found)


def count(
    series: Sequence[Series],
    start: float,
    end: float,
    seen: Scrapes,
    born: Mapping[str, float],
    *,
    since: float | None = None,
    own: AbstractSet[str] = frozenset(),
) -> int | NoData:
    """The same of counters that count whole things: requests, errors."""
    total = risen(series, start, end, seen, born, since=since, own=own)
    return total if isinstance(total, NoData) else round(total)


def unknown_past(one: Series, start: float, seen: Scrapes) -> NoData:
    """Why a counter cannot be counted from an instant on."""
    who = seen.pods.get(target_of(one.labels)) or one.labels.get("instance", "a target")
    first = next(t for t, _ in one.samples if t > start)
    return NoData(
        f"{who} was first scraped {first - start:.0f} s after the count began, and what it had answered "
        "before is not known"
    )


def countable_from(
    series: Sequence[Series],
    start: float,
    end: float,
    seen: Scrapes,
    born: Mapping[str, float],
    *,
    since: float | None = None,
    own: AbstractSet[str] = frozenset(),
) -> float:
    """The first instant from which `count` can answer: `start`, or when the last unknown target was first scraped."""
    out = start
    young = born_since(born, start, since)
    for one in without_copies(series, own):
        if _rise(one, start, end, seen, young) is None:
            out = max(out, next(t for t, _ in one.samples if t > start))
    return out


def born_since(born: Mapping[str, float], start: float, since: float | None) -> frozenset[str]:
    """The pods that were born after a chain of looks began, so that all they have counted is new."""
    began = start if since is None else min(start, since)
    return frozenset(pod for pod, at in born.items() if at > began)


def _rise(one: Series, start: float, end: float, seen: Scrapes, young: AbstractSet[str]) -> float | None:
    """The rise of one counter; None where its value at `start` cannot be known."""
    times = [t for t, _ in one.samples]
    first, stop = bisect_right(times, start), bisect_right(times, end)
    if first >= stop:
        return 0.0
    target = target_of(one.labels)
    if first:
        before, value = one.samples[first - 1]
    elif seen.last(target, start) is not None or one.labels.get("pod", "") in young:
        before, value = times[first], 0.0
    else:
        return None
    risen = 0.0
    for t, now in one.samples[first:stop]:
        if now < value or seen.between(target, before, t):
            value = 0.0
        risen += now - value
        before, value = t, now
    return risen


def without_copies(series: Sequence[S], own: AbstractSet[str] = frozenset()) -> list[S]:
    """Leave out second copies of the same counter: the same pod scraped by two jobs, or by two Prometheus.

    Only series that name their pod can be told to be copies; the first one in the order of labels stays. `own` are
    labels of the server that are called like a scrape's: they tell counters apart, unless the scrape has one too
    and Prometheus has renamed the server's to `exported_…`.
    """
    chosen: dict[frozenset[tuple[str, str]], tuple[list[tuple[str, str]], S]] = {}
    out: list[S] = []
    for one in series:
        if "pod" not in one.labels:
            out.append(one)
            continue
        mine = [label for label in own if f"exported_{label}" not in one.labels] if own else ()
        scrape = _COPIES.difference(mine) if mine else _COPIES
        identity = frozenset((k, v) for k, v in one.labels.items() if k not in scrape)
        rank = sorted((k, v) for k, v in one.labels.items() if k in scrape)
        if identity not in chosen or rank < chosen[identity][0]:
            chosen[identity] = (rank, one)
    return [*out, *(one for _, one in chosen.values())]
