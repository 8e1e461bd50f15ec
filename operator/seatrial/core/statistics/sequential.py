"""Evidence about two shares that may be looked at as often as one likes.

An *e-value* is a number that is 1 or less on average as long as a claim (the null hypothesis) is true; multiplied up over
looks it is an *e-process*, and by Ville's inequality a true claim ever lets it reach 1/α with a chance of at most α, whenever
and however often one looks (Ramdas, Grünwald, Vovk, Shafer, Statistical Science 38, 2023). All of it is kept in logarithms.

**Two shares.** Claim: "the candidate's share of events is at most stable's plus a margin", or "at least" that much. For counts
of one look, and an alternative (base, share) fixed before it, the e-value is the likelihood ratio of the alternative and of the
point of the claim that is nearest to it in Kullback and Leibler's sense, weighted by both arms' requests. Because the claim is
convex, its average is at most 1 for every pair of shares that the claim allows, and these may be others at every look: a
dependency that fails for both arms is no evidence (Turner, Ly, Grünwald, "Generic E-variables for exact sequential k-sample
tests", 2021). No estimate of stable's share enters the guarantee; a wrong one only makes the evidence weaker.

**Events in clumps.** Retries and users who stay with one revision make events come in clumps, and a clump is one event, not
many. The e-value is raised to the largest power for which its average stays at most 1 when clumps have a geometric size of a
given mean (`temper`); but to no less than 1/n for a look at n requests of the candidate. To that power it is below the e-value of
a single observation with the same mean (Jensen), which holds whatever hangs together within the look: ten looks at which every
request failed are not one clump.

**Faults that begin late.** A product over all looks would carry a healthy past for ever. Evidence against a claim is therefore a
mixture over the moment at which the fault began, of total weight 1 (`begun`).

Assumed: looks are independent of each other given the shares, clumps are short beside a look and stay in one arm.
Shares and margins are numbers from 0 to 1; evidence is in nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

TINY = 1e-9
EARLY = 0.1
"""Weight of a fault that is there from the first look."""
HORIZON = 7200.0
"""Seconds in which half of the remaining weight is spent on faults that begin later."""
NEAR = (1.0, 3.0)
"""Alternatives of a slightly worse candidate, in margins beyond the margin."""
FAR = (0.3, 0.5, 0.75, 1.0)
"""Alternatives of a much worse one, as parts of the way from the margin to failing always, in log-odds."""
_ALWAYS = math.log(0.97 / 0.03)


@dataclass(frozen=True, slots=True)
class Counts:
    """Events of all requests: the candidate's, and stable's in the same time. Zero requests are no evidence."""

    events: float
    total: float
    base_events: float = 0.0
    base_total: float = 0.0


def alternatives(boundary: float, margin: float) -> list[float]:
    """Shares above a boundary, from a margin worse to hopeless.

    >>> [round(share, 3) for share in alternatives(0.015, 0.005)]
    [0.02, 0.03, 0.132, 0.412, 0.826, 0.97]
    """
    low = math.log(boundary / (1.0 - boundary))
    high = max(_ALWAYS, low + 1.0)
    far = [1.0 / (1.0 + math.exp(-(low + part * (high - low)))) for part in FAR]
    return [*(min(boundary + part * margin, far[-1]) for part in NEAR), *far]


def log_e(seen: Counts, base: float, share: float, margin: float, clump: float) -> float:
    """Evidence of one look, in nats, against the claim that lies on the other side of the margin than `share`.

    With `share` above `base + margin` the claim is "at most the margin worse", with `share` below it "at least the margin
    worse". `base` and `share` must not depend on these counts. 0 < base, share, base + margin < 1.
    """
    nearest = _projection(seen, base, share, margin)
    ratio = _ratio(seen.base_events, seen.base_total, base, nearest)
    ratio += _ratio(seen.events, seen.total, share, nearest + margin)
    return _power(math.log(share / (base + margin)), seen, clump) * ratio


def log_e_alone(seen: Counts, share: float, ceiling: float, clump: float) -> float:
    """Evidence of one look against the claim that the candidate's own share is on the other side of a ceiling."""
    return _power(math.log(share / ceiling), seen, clump) * _ratio(seen.events, seen.total, share, ceiling)


def _power(log_ratio: float, seen: Counts, clump: float) -> float:
    """A look is worth at least one observation: its share has the same average however its events hang together."""
    return max(temper(log_ratio, clump), 1.0 / max(1.0, seen.total))


def temper(log_ratio: float, clump: float) -> float:
    """The largest power of an e-value that clumps of a geometric size with mean `clump` leave at most 1 on average.

    An event weighs `x = power × |log_ratio|`. For a clump of mean size k the condition is, with y = e^x - 1 and
    E = (e^Λ - 1)/Λ: y / (1 - (k-1) y) <= x E where events speak against the claim, and x E <= y / (1 + (k-1) y) with
    y = 1 - e^-x, E = (1 - e^-Λ)/Λ where they speak for it. Small ratios give 1 / (2k - 1), the inverse of the variance
    that clumps inflate.

    >>> temper(2.0, 1.0), round(temper(0.01, 3.0), 2), round(temper(3.0, 3.0), 3)
    (1.0, 0.2, 0.114)
    """
    size, more = abs(log_ratio), clump - 1.0
    if more <= TINY or size <= TINY:
        return 1.0
    against = log_ratio > 0
    average = (math.expm1(min(size, 50.0)) if against else -math.expm1(-size)) / size
    low, high = 0.0, 1.0
    for _ in range(20):
        power = (low + high) / 2.0
        weight = power * size
        if against:
            y = math.expm1(weight)
            valid = y * (1.0 + more * weight * average) <= weight * average
        else:
            y = -math.expm1(-weight)
            valid = weight * average * (1.0 + more * y) <= y
        low, high = (power, high) if valid else (low, power)
    return low


def _ratio(events: float, total: float, share: float, other: float) -> float:
    """Log-likelihood ratio of two shares."""
    if total <= 0:
        return 0.0
    return events * math.log(share / other) + (total - events) * math.log((1.0 - share) / (1.0 - other))


def _projection(seen: Counts, base: float, share: float, margin: float) -> float:
    """Stable's share at the point of the claim's edge that is nearest to the alternative.

    It minimises m KL(base, t) + n KL(share, t + margin), a convex function of t: its slope is searched for 0, by Newton's
    steps inside a bracket.
    """
    n, m = seen.total, seen.base_total
    low, high = sorted((base, share - margin))
    low, high = max(low, TINY), min(high, 1.0 - margin - TINY)
    t = base if m >= n else min(max(share - margin, low), high)
    for _ in range(60):
        c = t + margin
        over, over_c = t * (1.0 - t), c * (1.0 - c)
        slope = m * (t - base) / over + n * (c - share) / over_c
        low, high = (t, high) if slope < 0 else (low, t)
        curve = m * (base / t**2 + (1.0 - base) / (1.0 - t) ** 2) + n * (share / c**2 + (1.0 - share) / (1.0 - c) ** 2)
        new = t - slope / curve if curve > 0 else t
        if not low <= new <= high:
            new = (low + high) / 2.0
        if abs(new - t) <= 1e-10 * t or high - low <= 1e-13:
            return new
        t = new
    return t


def begun(seconds: float) -> float:
    """The weight given by now to faults that have begun: all of it is spent in the end.

    >>> [round(begun(hours * 3600), 2) for hours in (0, 0.5, 2, 24)]
    [0.1, 0.28, 0.55, 0.93]
    """
    return EARLY + (1.0 - EARLY) * seconds / (HORIZON + seconds)


def restarted(logs: Sequence[float], factors: Sequence[float], before: float, now: float, first: bool) -> list[float]:
    """Evidence by alternative after one more look, begun anew at every look with its share of the weight.

    `logs` is empty before the first look; `before` and `now` are seconds since the trial's evidence began, at the look before
    and at this one.
    """
    mass = begun(now) - (0.0 if first else begun(before))
    entering = math.log(max(mass, 1e-300) / len(factors))
    have = logs or [-math.inf] * len(factors)
    return [log_sum((log, entering)) + factor for log, factor in zip(have, factors, strict=True)]


def against(logs: Sequence[float], now: float) -> float:
    """Evidence against a claim in nats: of all alternatives and beginnings, and of the weight not given out yet."""
    return log_sum((*logs, math.log(1.0 - begun(now))))


def averaged(logs: Sequence[float]) -> float:
    """Evidence of several e-processes of equal weight, in nats."""
    return log_sum(logs) - math.log(len(logs))


def log_sum(logs: Sequence[float]) -> float:
    """Logarithm of a sum of exponentials."""
    largest = max(logs)
    if math.isinf(largest):
        return largest
    return largest + math.log(math.fsum(math.exp(log - largest) for log in logs))
