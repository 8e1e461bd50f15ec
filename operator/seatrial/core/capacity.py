"""How many pods a share of the traffic needs, and how far traffic may return at once."""

from __future__ import annotations

from seatrial.api.status import PARTS


def needed(replicas: int, percent: int) -> int:
    """Pods that a revision needs for a percentage of the traffic: rounded up, at least one.

    >>> [needed(4, p) for p in (1, 25, 26, 100)]
    [1, 1, 2, 4]
    """
    return max(1, -(-replicas * percent // 100))


def needed_at(replicas: int, parts: int) -> int:
    """The same for a weight in parts of a million, taken as whole percent."""
    return needed(replicas, -(-parts * 100 // PARTS))


def retreat(current: int, stable_ready: int, replicas: int, candidate_ready: int) -> int:
    """The candidate's weight in parts on the way back.

    With stable at full size, or nobody left in the candidate, 0 at once. Else stable takes what its
    ready pods can carry, and the candidate keeps the rest until more of them are ready: never more
    than it has now.

    >>> retreat(500_000, stable_ready=4, replicas=4, candidate_ready=2)
    0
    >>> retreat(500_000, stable_ready=3, replicas=4, candidate_ready=2)
    250000
    >>> retreat(500_000, stable_ready=1, replicas=4, candidate_ready=0)
    0
    """
    if candidate_ready == 0 or stable_ready >= replicas:
        return 0
    return min(current, PARTS - PARTS * stable_ready // max(1, replicas))
