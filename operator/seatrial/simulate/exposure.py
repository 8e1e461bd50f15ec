"""Which share of the requests came to the candidate when, for numbers that are counted long after their requests."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


class Exposure:
    """The weights of `runs` trials, from the first request on. Rows are changes in order, columns are trials."""

    def __init__(self, runs: int, changes: int) -> None:
        self.since = np.full((changes + 1, runs), np.inf)
        """Seconds since each trial's exposure began."""
        self.mine, self.live = np.zeros((changes + 1, runs)), np.zeros((changes + 1, runs))
        self.count = np.zeros(runs, int)

    def change(self, which: Array, since: Array, mine: Array, live: Array) -> None:
        """Another weight is in force in some trials, from an instant on."""
        columns = np.flatnonzero(which)
        rows = self.count[columns]
        for own, value in ((self.since, since), (self.mine, mine), (self.live, live)):
            own[rows, columns] = np.broadcast_to(value, which.shape)[columns]
        self.count[columns] += 1

    def between(self, begin: Array, end: Array) -> tuple[Array, Array]:
        """Seconds times the share of requests that came to the candidate: all of them, and live ones."""
        until = np.vstack([self.since[1:], np.full(self.since.shape[1], np.inf)])
        lasted = np.maximum(np.minimum(until, end) - np.maximum(self.since, begin), 0.0)
        return (lasted * self.mine).sum(axis=0), (lasted * self.live).sum(axis=0)

    def keep(self, which: Array) -> None:
        """Go on with some of the trials only."""
        for name, value in vars(self).items():
            setattr(self, name, value[..., which])
