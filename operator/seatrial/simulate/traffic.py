"""Requests that never came: how many, when, and how many of them are bad."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from seatrial.simulate.judge import Array
from seatrial.simulate.predictions import Shares

DAY = 86_400.0
BUSIEST = 14.0 * 3600.0
"""The hour of the most requests, in seconds of the day."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a service really got, window by window."""

    length: float
    """Seconds of a window."""
    rates: Array
    """Requests a second in each."""
    shares: Mapping[str, Array]
    """Bad ones of them, by check."""

    def window(self, at: Array) -> Array:
        """The windows of moments; after the last one comes the first."""
        return (np.asarray(at) // self.length).astype(int) % len(self.rates)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the whole service gets while stable answers."""

    rate: float
    """Requests a second, on average over a day."""
    shares: Mapping[str, float]
    """Stable's share of events, by check."""
    clump: float = 1.0
    """Mean size of a clump of events."""
    daily: float = 1.0
    """The busiest hour has so many times the requests of the quietest."""

    predictions: Mapping[str, Shares] = field(default_factory=dict)
    """How stable's predictions are divided, by drift check."""
    delays: Mapping[str, float] = field(default_factory=dict)
    """Seconds from a request to its event, by check: a label, an order, a claim."""
    all_late: bool = False
    """Such a request is counted together with its event, and not when it comes."""
    record: Record | None = None
    """A past whose rates and shares come again, instead of the above, which are its means."""

    def begins(self, draw: np.random.Generator, runs: int) -> Array:
        """A moment of the day, or of the record, for each trial to begin at, in seconds."""
        return draw.random(runs) * (DAY if self.record is None else self.record.length * len(self.record.rates))

    def rates(self, at: Array) -> Array:
        """Requests a second at moments of the day, or of the record."""
        if self.record is not None:
            return self.record.rates[self.record.window(at)]
        swing = (self.daily - 1.0) / (self.daily + 1.0)
        return self.rate * (1.0 + swing * np.cos(2.0 * math.pi * (np.asarray(at) - BUSIEST) / DAY))

    def share(self, check: str, at: Array) -> Array:
        """Stable's share of events of a check at moments."""
        if self.record is not None:
            return self.record.shares[check][self.record.window(at)]
        return np.full(np.shape(at), self.shares[check])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A new revision, as it differs from stable."""

    kind: str
    """`identical`, `worse by the margin`, `bad` or `drifted`."""
    more: Mapping[str, float] = field(default_factory=dict)
    """What is added to stable's share, by check; below 0 for a share that falls."""
    predictions: Mapping[str, Shares] = field(default_factory=dict)
    """How its predictions are divided, by drift check; as stable's where left out."""
    late: float = 0.0
    """Seconds from its first request on in which it is as good as stable."""

    def share(self, check: str, base: Array, since: Array) -> Array:
        """Its share of events, `since` its first request."""
        more = np.where(np.asarray(since) >= self.late, self.more.get(check, 0.0), 0.0)
        return np.clip(base + more, 0.0, 0.999)


def events(draw: np.random.Generator, total: Array, share: Array, clump: float) -> Array:
    """How many of these requests are bad: in clumps of a geometric size."""
    starts = draw.poisson(total * share / clump)
    if clump > 1.0:
        starts = starts + np.where(starts > 0, draw.negative_binomial(np.maximum(starts, 1), 1.0 / clump), 0)
    return np.minimum(starts, total)
