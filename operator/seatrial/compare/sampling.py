"""Which copies of live requests are worth asking again, and how often."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from enum import StrEnum

MARKER = "x-seatrial-shadow"
"""Header of every request that the comparer makes: a model with side effects can leave them out."""
MARK = "compare"
BINARY = "inference-header-content-length"
"""Header of the Open Inference Protocol's binary extension: JSON, then tensors as bytes."""

_INFERENCE = re.compile(r"/(?:[^?#]*/)?(?:infer|generate|invocations)|/[^?#]*:predict")
_STAYS = frozenset({
    "connection", "content-length", "content-encoding", "accept-encoding", "expect", "host", "keep-alive",
    "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", MARKER,
})  # fmt: skip
"""Headers that belong to one connection, or that this process decides for its own requests."""


class Dropped(StrEnum):
    """Why a request is not compared."""

    NOT_INFERENCE = "not_inference"
    """Not a POST to an inference path."""
    OWN = "own"
    """It is the comparer's own, and came back to it."""
    UNCOMPARABLE = "uncomparable"
    """Not JSON: the binary extension, a compressed body, a stable answer that cannot be read."""
    TOO_LARGE = "too_large"
    """The request, or stable's answer, has more bytes than are kept."""
    RATE = "rate"
    """As many are taken as may be."""
    QUEUE = "queue"
    """Those that were taken still wait."""
    RESTING = "resting"
    """Stable did not answer a request of ours: it is left alone for a while."""
    UNREADABLE = "unreadable"
    """Its body did not arrive."""
    NO_REFERENCE = "no_reference"
    """Stable did not answer it with 200, so there is nothing to compare with."""
    BROKEN = "broken"
    """This process failed; its log says how."""


def refusal(method: str, path: str, headers: Mapping[str, str]) -> Dropped | None:
    """Why a request cannot be asked again, as far as its head tells. `headers` are looked up in lower case."""
    if headers.get(MARKER):
        return Dropped.OWN
    if method != "POST" or not _INFERENCE.fullmatch(path.partition("?")[0]):
        return Dropped.NOT_INFERENCE
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    encoding = headers.get("content-encoding", "identity").lower()
    if BINARY in headers or encoding != "identity" or not (kind == "application/json" or kind.endswith("+json")):
        return Dropped.UNCOMPARABLE
    return None


def forwarded(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of the request that is asked again: those of the live one, and the marker."""
    kept = {
        name: value
        for name, value in headers.items()
        if name.lower() not in _STAYS and not name.lower().startswith("x-envoy-")
    }
    return {**kept, MARKER: MARK, "accept-encoding": "identity"}


class Pace:
    """At most `rate` a second, however many come: between two there is at least 1/rate.

    The gap is drawn anew each time, up to half as long again. A fixed one would meet a caller that sends at
    regular times always in the same place.
    """

    def __init__(self, rate: float) -> None:
        self._gap = 1.0 / rate
        self._next = float("-inf")

    def take(self, now: float) -> bool:
        """Whether one may be taken now (monotonic seconds); if so, it is."""
        if now < self._next:
            return False
        self._next = now + self._gap * random.uniform(1.0, 1.5)
        return True


class Rest:
    """How long stable is left alone after it did not answer: each time twice as long, until it answers again."""

    FIRST = 5.0
    LONGEST = 80.0
    """Seconds."""

    def __init__(self) -> None:
        self._length = self.FIRST
        self._until = float("-inf")

    def begin(self, now: float) -> float:
        """Rest from now on; for how many seconds."""
        length = self._length
        self._until = now + length
        self._length = min(self.LONGEST, 2 * length)
        return length

    def end(self) -> None:
        """Stable answers."""
        self._length = self.FIRST

    def on(self, now: float) -> bool:
        """Whether it is resting."""
        return now < self._until
