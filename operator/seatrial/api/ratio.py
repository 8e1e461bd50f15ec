"""Pods as weights: how many a weight takes, and what they really give."""

from __future__ import annotations


def pods_of(weight: int, replicas: int, least: int = 1) -> int:
    """Pods that give no more than a weight in percent beside so many of stable: one at least, as many as stable at most.

    >>> [pods_of(w, 20) for w in (4, 5, 25, 50)]
    [1, 1, 6, 20]
    """
    return min(max(least, replicas * weight // (100 - weight)), max(1, replicas))


def share_of(pods: int, replicas: int, whole: int) -> int:
    """What so many pods of a candidate get of `whole`, beside so many of stable; rounded down.

    >>> share_of(1, 20, 1_000_000), share_of(4, 4, 100)
    (47619, 50)
    """
    return whole * pods // max(1, pods + replicas)
