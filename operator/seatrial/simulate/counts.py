"""What is counted between two looks of every trial, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from seatrial.core.bins import LEAST as ENOUGH
from seatrial.core.statistics.drift import PRIOR
from seatrial.simulate import drifting, predictions
from seatrial.simulate.course import Course
from seatrial.simulate.exposure import Exposure
from seatrial.simulate.traffic import Candidate, Traffic, events

Array = Any
Four = tuple[Array, Array, Array, Array]
MINUTES = 60
"""Windows of stable's hour before in which predictions are seen to hang together."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happens between two looks of every trial."""

    which: Array
    """Numbers of the trials that are still under way."""
    begin: Array
    """Seconds since each trial's exposure began."""
    end: Array
    mine: Array
    """Seconds times the share of requests that come to the candidate, copies included."""
    live: Array
    """The same of live requests only."""
    exposure: Exposure
    """All weights up to now."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted in a stretch."""

    total: Array
    """The candidate's requests, copies included."""
    shares: Mapping[str, Four]
    """By check: the candidate's events and requests, and stable's."""
    predictions: Mapping[str, tuple[Array, Array]]
    """By check: the candidate's predictions by bin and trial, and stable's."""


class Sea(Protocol):
    """Where counts come from."""

    def past(self, length: float, windows: int) -> list[Mapping[str, tuple[Array, Array]]]:
        """Stable's events and requests by check, in windows before the trials, in order."""

    def hour(self, name: str) -> tuple[int, Array, Array]:
        """Of a drift check: its number of bins, stable's predictions in the hour before, and their inflation."""

    def between(self, stretch: Stretch) -> Counts:
        """Counts of both arms."""


class Drawn:
    """Counts drawn by chance."""

    def __init__(self, traffic: Traffic, candidate: Candidate, course: Course, runs: int, seed: int) -> None:
        self.traffic, self.candidate = traffic, candidate
        self.names = [check.name for check in course.checks]
        self.draw = np.random.default_rng(seed)
        self.offset = traffic.begins(self.draw, runs)
        self.bins: dict[str, tuple[Array, Array]] = {}
        """By drift check, stable's and the candidate's share of each bin."""
        for check in course.drifts:
            stable = traffic.predictions[check.name]
            chosen = predictions.frozen(check, stable)
            if isinstance(chosen, str):
                raise ValueError(chosen)  # who calls has asked before
            both = (stable, candidate.predictions.get(check.name, stable))
            a, b = (np.array(predictions.by_bin(one, chosen)) for one in both)
            self.bins[check.name] = a, b

    def past(self, length: float, windows: int) -> list[Mapping[str, tuple[Array, Array]]]:
        """An hour of nothing but stable."""
        out: list[Mapping[str, tuple[Array, Array]]] = []
        for index in range(windows, 0, -1):
            at = self.offset - (index - 0.5) * length
            total = self._requests(at, np.full(len(at), length))
            out.append({name: (self._events(name, at, total), total) for name in self.names})
        return out

    def hour(self, name: str) -> tuple[int, Array, Array]:
        """From minutes of that hour; whole ones, since what hangs together is told minute by minute."""
        shares, runs = self.bins[name][0], len(self.offset)
        starts = self.offset - 60.0 * np.arange(MINUTES, 0, -1)[:, None]
        windows = self.draw.poisson((self.traffic.rates(starts) * 60.0)[:, None, :] * shares[None, :, None])
        known = self.traffic.predictions[name].inflation
        inflated = drifting.inflation(windows) if known is None else np.full(runs, known)
        total = windows.sum(axis=(0, 1))
        return len(shares), total.astype(float), np.where(total >= ENOUGH, inflated, PRIOR)

    def between(self, stretch: Stretch) -> Counts:
        """What both arms get at the rate and shares of the middle of the stretch."""
        middle = (stretch.begin + stretch.end) / 2.0
        at, lasted = self.offset[stretch.which] + middle, stretch.end - stretch.begin
        total = self._requests(at, stretch.mine)
        base_total = self._requests(at, lasted - stretch.live)
        shares: dict[str, Four] = {}
        for name in self.names:
            own = self.candidate.share(name, self.traffic.share(name, at), middle)
            if delay := self.traffic.delays.get(name, 0.0):
                shares[name] = self._late(name, delay, stretch, total, base_total)
            else:
                found = events(self.draw, total, own, self.traffic.clump)
                shares[name] = found, total, self._events(name, at, base_total), base_total
        predicted = {}
        for name, (stable, candidate) in self.bins.items():
            late = middle < self.candidate.late
            own = np.where(late, stable[:, None], candidate[:, None])
            rates = self.traffic.rates(at)
            mine = self.draw.poisson(own * np.maximum(rates * stretch.mine, 0.0))
            predicted[name] = (
                mine,
                self.draw.poisson(stable[:, None] * np.maximum(rates * (lasted - stretch.live), 0.0)),
            )
        return Counts(total, shares, predicted)

    def _late(self, name: str, delay: float, stretch: Stretch, total: Array, base_total: Array) -> Four:
        """Events of requests that came so many seconds before."""
        begin, end = stretch.begin - delay, stretch.end - delay
        mine, live = stretch.exposure.between(begin, end)
        middle = (begin + end) / 2.0
        at = self.offset[stretch.which] + middle
        then, base_then = self._requests(at, mine), self._requests(at, end - begin - live)
        share = self.candidate.share(name, self.traffic.share(name, at), middle)
        found, base_found = events(self.draw, then, share, self.traffic.clump), self._events(name, at, base_then)
        if self.traffic.all_late:
            return found, then, base_found, base_then
        return np.minimum(found, total), total, np.minimum(base_found, base_total), base_total

    def _requests(self, at: Array, seconds: Array) -> Array:
        return self.draw.poisson(np.maximum(self.traffic.rates(at) * seconds, 0.0))

    def _events(self, name: str, at: Array, total: Array) -> Array:
        return events(self.draw, total, self.traffic.share(name, at), self.traffic.clump)
