"""A model that is fine until it gets a real share of the traffic.

Its cache of features was sized on a laptop. Above ten requests a second in one pod, averaged over eight seconds,
three requests of ten find their features gone and fail with a 500. Recorded requests and a small first step
do not see it: at 5 % of a hundred requests a second a pod gets five.
"""

from __future__ import annotations

import math
import time
from typing import Any

from mlserver.errors import MLServerError
from screening import Screening as Quick

CAPACITY = 10.0
"""Requests a second that the cache keeps up with."""
MEMORY = 8.0
"""Seconds over which the load is averaged, exponentially."""
UNLUCKY = frozenset({0, 3, 6})
"""Which of ten requests fail when the cache does not keep up."""


class Screening(Quick):  # type: ignore[misc]
    """The demo's model server behind a cache that is too small."""

    _served = 0
    _load = 0.0
    _last = 0.0

    async def predict(self, payload: Any) -> Any:
        """Answer, or fail where the features are gone."""
        now = time.monotonic()
        self._load = self._load * math.exp((self._last - now) / MEMORY) + 1 / MEMORY
        self._last = now
        self._served += 1
        if self._load > CAPACITY and self._served % 10 in UNLUCKY:
            raise MLServerError("the feature cache has no entry for this request", 500)
        return await super().predict(payload)
