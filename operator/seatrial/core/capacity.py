"""How many pods a share of the traffic needs, and how much traffic pods can carry."""

from __future__ import annotations

from seatrial.api.status import PARTS


def pods_for(replicas: int, weight: int) -> int:
    """Pods that a revision needs for a weight in parts, of `replicas` for all of it: rounded up, at least one.

    One part is nobody's burden: thirds are 333,333 and 666,667, and need one pod and two.

    >>> [pods_for(3, w) for w in (0, 333_333, 333_335, 666_667, PARTS)]
    [1, 1, 2, 2, 3]
    """
    return max(1, -(-replicas * (weight - 1) // PARTS))


def needed(replicas: int, percent: int) -> int:
    """Pods that a revision needs for a percentage of the traffic: rounded up, at least one.

    >>> [needed(4, p) for p in (1, 25, 26, 100)]
    [1, 1, 2, 4]
    """
    return pods_for(replicas, percent * PARTS // 100)


def carried(ready: int, replicas: int) -> int:
    """The weight in parts that ready pods can carry, of `replicas` for all of it.

    >>> [carried(ready, 3) for ready in (0, 1, 2, 3, 4)]
    [0, 333333, 666666, 1000000, 1000000]
    """
    return PARTS if ready >= replicas else PARTS * ready // replicas


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
    return 0 if candidate_ready == 0 else min(current, PARTS - carried(stable_ready, replicas))
