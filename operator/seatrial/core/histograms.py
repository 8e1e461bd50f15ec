"""Exact counts by bin from raw samples of histograms, classic and native, and of counters by class.

A sample of a histogram is a row: how many numbers it has counted in each bin. The bins of a row are one counter in several parts:
when one of them falls, all began anew at 0. Else the rules are those of `core/counters.py`.

A cut is the upper edge of a bin and belongs to it, as `le` has it; the last bin has none.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from seatrial.core import counters
from seatrial.core.counters import Scrapes
from seatrial.core.promql import Named
from seatrial.core.questions import NoData, Series

CLASSIC = "_bucket"
"""The end of the name of a classic histogram's series."""


@dataclass(frozen=True, slots=True)
class Row:
    """Samples of one target's counts by bin, ascending in time."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, tuple[float, ...]], ...]

    def total(self) -> Series:
        """All bins together."""
        return Series(self.labels, tuple((t, math.fsum(bins)) for t, bins in self.samples))


# --- histograms ---------------------------------------------------------------------------------------


def named_buckets(named: Named) -> Named:
    """The series of the classic buckets."""
    return Named(named.metric + CLASSIC, named.matchers)


def edges(series: Sequence[Series], named: Named) -> dict[float, str]:
    """The finite edges of the buckets, with their spelling; of native ones those that no bucket straddles."""
    classic = _classic(series, named)
    if classic:
        return {le: spelled for spelled, le in _spelled(classic).items() if math.isfinite(le)}
    native = [one for one in series if named.matches(one.labels) and one.buckets]
    spans = {(bucket.left, bucket.right) for one in native for sample in one.buckets for bucket in sample}
    found = sorted({right for _, right in spans})
    inside: set[float] = set()
    for left, right in spans:
        inside.update(found[bisect_right(found, left) : bisect_left(found, right)])
    return {edge: repr(edge) for edge in found if math.isfinite(edge) and edge not in inside}


def rows(series: Sequence[Series], named: Named, cuts: Sequence[float]) -> list[Row] | NoData:
    """The histogram's samples by bin, or why they cannot be had."""
    classic = _classic(series, named)
    out: list[Row] = []
    if classic:
        groups: dict[frozenset[tuple[str, str]], list[Series]] = {}
        for one in classic:
            groups.setdefault(frozenset((k, v) for k, v in one.labels.items() if k != "le"), []).append(one)
        found = [_classic_row(dict(labels), group, cuts) for labels, group in groups.items()]
    else:
        native = [one for one in series if named.matches(one.labels) and one.buckets]
        found = [_native_row(one, cuts) for one in native]
    for row in found:
        if isinstance(row, NoData):
            return row
        out.append(row)
    return out


def _classic(series: Sequence[Series], named: Named) -> list[Series]:
    buckets = named_buckets(named)
    return [one for one in series if buckets.matches(one.labels) and not math.isnan(_le(one))]


def _spelled(classic: Sequence[Series]) -> dict[str, float]:
    return {one.labels["le"]: _le(one) for one in classic}


def _le(one: Series) -> float:
    try:
        return float(one.labels.get("le", "nan"))
    except ValueError:
        return math.nan


def _classic_row(labels: Mapping[str, str], group: Sequence[Series], cuts: Sequence[float]) -> Row | NoData:
    at = {_le(one): dict(one.samples) for one in group}
    for edge in (*cuts, math.inf):
        if edge not in at:
            who = labels.get("pod") or labels.get("instance", "a target")
            return NoData(f"{labels.get('__name__')} of {who} has no bucket with the edge {edge:g}")
    upper = [at[edge] for edge in (*cuts, math.inf)]
    whole = [t for t in sorted(upper[-1]) if all(t in one for one in upper)]
    return Row(labels, tuple((t, _differences([one[t] for one in upper])) for t in whole))


def _native_row(one: Series, cuts: Sequence[float]) -> Row | NoData:
    out = []
    for (t, _), sample in zip(one.samples, one.buckets, strict=True):
        bins = [0.0] * (len(cuts) + 1)
        for bucket in sample:
            index = bisect_left(cuts, bucket.right)
            if index and bucket.left < cuts[index - 1]:
                return NoData(
                    f"the buckets of {one.labels.get('__name__')} have become coarser: one of them, {bucket.left:g} to "
                    f"{bucket.right:g}, is in two bins; restart the trial to choose the bins anew"
                )
            bins[index] += bucket.count
        out.append((t, tuple(bins)))
    return Row(one.labels, tuple(out))


def _differences(cumulative: Sequence[float]) -> tuple[float, ...]:
    below, out = 0.0, []
    for upper in cumulative:
        out.append(max(0.0, upper - below))
        below = upper
    return tuple(out)


# --- classes ------------------------------------------------------------------------------------------


def class_rows(series: Sequence[Series], named: Named, by: str, classes: Sequence[str]) -> list[Row]:
    """Counters by class as rows: one bin for each class, and a last one for all others."""
    index = {name: position for position, name in enumerate(classes)}
    out = []
    for one in series:
        if not named.matches(one.labels):
            continue
        mine = index.get(one.labels.get(by, ""), len(classes))
        before, after = (0.0,) * mine, (0.0,) * (len(classes) - mine)
        out.append(Row(one.labels, tuple((t, (*before, value, *after)) for t, value in one.samples)))
    return out


# --- counting -----------------------------------------------------------------------------------------


def count(
    found: Sequence[Row],
    bins: int,
    start: float,
    end: float,
    seen: Scrapes,
    born: Mapping[str, float],
    *,
    since: float | None = None,
) -> list[int] | NoData:
    """How much all rows rose between two instants, by bin."""
    out = [0.0] * bins
    young = counters.born_since(born, start, since)
    for row in counters.without_copies(found):
        risen = _rise(row, bins, start, end, seen, young)
        if risen is None:
            return counters.unknown_past(row.total(), start, seen)
        out = [a + b for a, b in zip(out, risen, strict=True)]
    return [round(number) for number in out]


def increments(
    row: Row, bins: int, start: float, end: float, seen: Scrapes, born: Mapping[str, float]
) -> list[tuple[float, tuple[float, ...]]]:
    """What a row counted between two instants, scrape by scrape; of an unknown past what came after its first scrape.

    For a distribution, where what one pod counted before anybody looked may be missing, as it may not in a count of errors.
    """
    young = counters.born_since(born, start, None)
    steps = _steps(row, bins, start, end, seen, young)
    if steps is None:
        first = next(t for t, _ in row.samples if t > start)
        steps = _steps(row, bins, first, end, seen, young)
    return steps or []


def _rise(
    row: Row, bins: int, start: float, end: float, seen: Scrapes, young: AbstractSet[str]
) -> tuple[float, ...] | None:
    steps = _steps(row, bins, start, end, seen, young)
    if steps is None:
        return None
    risen = (0.0,) * bins
    for _, more in steps:
        risen = tuple(r + m for r, m in zip(risen, more, strict=True))
    return risen


def _steps(
    row: Row, bins: int, start: float, end: float, seen: Scrapes, young: AbstractSet[str]
) -> list[tuple[float, tuple[float, ...]]] | None:
    """The rise at each scrape; None where the row's value at `start` cannot be known."""
    times = [t for t, _ in row.samples]
    first, stop = bisect_right(times, start), bisect_right(times, end)
    zero = (0.0,) * bins
    if first >= stop:
        return []
    target = counters.target_of(row.labels)
    if first:
        before, value = row.samples[first - 1]
    elif seen.last(target, start) is not None or row.labels.get("pod", "") in young:
        before, value = times[first], zero
    else:
        return None
    out = []
    for t, now in row.samples[first:stop]:
        if any(a < b for a, b in zip(now, value, strict=True)) or seen.between(target, before, t):
            value = zero
        out.append((t, tuple(a - b for a, b in zip(now, value, strict=True))))
        before, value = t, now
    return out
