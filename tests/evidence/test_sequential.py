"""E-values: at most 1 on average under every claim they test, by adding up all that can happen."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.core.statistics.sequential import (
    Counts,
    _projection,
    against,
    alternatives,
    begun,
    log_e,
    log_e_alone,
    log_sum,
    restarted,
    temper,
)


def binomial(total: int, share: float) -> Iterator[tuple[int, float]]:
    for events in range(total + 1):
        yield events, math.comb(total, events) * share**events * (1 - share) ** (total - events)


def average(n: int, m: int, bet: tuple[float, float], margin: float, truth: tuple[float, float], clump: float) -> float:
    """The e-value's average when stable's and the candidate's shares are `truth`."""
    base, share = bet
    return sum(
        p * q * math.exp(log_e(Counts(events, n, base_events, m), base, share, margin, clump))
        for events, p in binomial(n, truth[1])
        for base_events, q in binomial(m, truth[0])
    )


SHARES = st.floats(0.001, 0.6)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 8),
    st.integers(0, 14),
    SHARES,
    st.floats(0.001, 0.97),
    st.sampled_from([0.0025, 0.01, 0.1, 0.3]),
    SHARES,
    st.floats(0, 1),
    st.sampled_from([1.0, 2.5]),
)
def test_it_is_at_most_one_on_average_whatever_the_claim_allows(
    n: int, m: int, base: float, share: float, margin: float, truth: float, part: float, clump: float
) -> None:
    """Whatever was bet on, and whatever stable's share really is."""
    if abs(share - base - margin) < 1e-6:
        return
    if share > base + margin:
        candidate = part * min(1.0, truth + margin)  # at most the margin worse
    else:
        candidate = min(1.0, truth + margin) + part * (1.0 - min(1.0, truth + margin))
    assert average(n, m, (base, share), margin, (truth, candidate), clump) <= 1.0 + 1e-9


@pytest.mark.parametrize(("bet", "truth"), [((0.05, 0.4), (0.05, 0.4)), ((0.3, 0.31), (0.3, 0.3))])
def test_it_grows_where_the_claim_is_false(bet: tuple[float, float], truth: tuple[float, float]) -> None:
    """The same sums can exceed 1: otherwise the test above would hold for a constant."""
    assert average(10, 20, bet, 0.1, truth, 1.0) > 1.05


@settings(deadline=None)
@given(SHARES, st.floats(0.01, 0.97), st.floats(0.005, 0.3), st.integers(1, 1000), st.integers(1, 100_000))
def test_the_projection_is_the_nearest_point_of_the_claims_edge(
    base: float, share: float, margin: float, n: int, m: int
) -> None:
    seen = Counts(0, n, 0, m)
    found = _projection(seen, base, share, margin)

    def distance(t: float) -> float:
        def kl(p: float, q: float) -> float:
            return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))

        return m * kl(base, t) + n * kl(share, t + margin)

    points = [1e-6 + (1 - margin - 2e-6) * k / 400 for k in range(401)]
    assert distance(found) <= min(distance(t) for t in points) + 1e-6 * (n + m)


@settings(max_examples=60, deadline=None)
@given(st.floats(1.05, 15.0), st.floats(0.01, 6.0), st.booleans())
def test_clumps_of_a_geometric_size_leave_the_average_at_one(clump: float, ratio: float, against_claim: bool) -> None:
    """Poisson clumps: the logarithm of the average is rate × (E e^(x K) - 1) / k - rate × power × compensator."""
    log_ratio = ratio if against_claim else -ratio
    weight = temper(log_ratio, clump) * log_ratio
    q = 1.0 - 1.0 / clump
    assert q * math.exp(weight) < 1.0, "the clumps' generating function has to exist"
    generating = math.exp(weight) / clump / (1.0 - q * math.exp(weight))
    compensator = temper(log_ratio, clump) * math.expm1(log_ratio)
    assert (generating - 1.0) / clump <= compensator + 1e-9


def test_small_ratios_are_tempered_by_the_inflated_variance() -> None:
    assert temper(1e-4, 5.5) == pytest.approx(1 / 10, rel=1e-3)
    assert temper(3.0, 1.0) == 1.0


def test_a_look_is_worth_one_observation_however_its_events_hang_together() -> None:
    """Everything failed, in clumps or not: the ten errors of one look weigh as one, and as one they weigh in full."""
    ten, one = Counts(10, 10), Counts(1, 1)
    assert log_e_alone(ten, 0.97, 0.05, 1000.0) == pytest.approx(log_e_alone(one, 0.97, 0.05, 1000.0), rel=1e-3)


@pytest.mark.parametrize("hours", [0.5, 2.0])
def test_a_fault_after_healthy_hours_is_found_at_most_half_again_as_late(hours: float) -> None:
    """1 % to 5 % at 20 requests a second and 5 % weight, on average counts."""

    def minutes_to_find(healthy: float) -> float:
        logs: list[float] = []
        base, margin, now = 0.01, 0.005, 0.0
        while True:
            share = 0.01 if now < healthy else 0.05
            look = Counts(15 * share, 15, 285 * base, 285)
            factors = [log_e(look, base, bet, margin, 1.0) for bet in alternatives(base + margin, margin)]
            logs = restarted(logs, factors, now, now + 15, now == 0)
            now += 15
            if against(logs, now) >= math.log(200):
                return (now - healthy) / 60
            assert now < 6 * 3600

    assert minutes_to_find(hours * 3600) <= 1.5 * minutes_to_find(0.0)


def test_the_weights_of_all_beginnings_sum_to_one() -> None:
    logs: list[float] = []
    now = 0.0
    for _ in range(1000):
        logs = restarted(logs, [0.0] * 6, now, now + 30, now == 0)
        now += 30
        assert log_sum(logs) == pytest.approx(math.log(begun(now)))
        assert against(logs, now) == pytest.approx(0.0, abs=1e-9), "looks that say nothing are no evidence"


def test_sums_of_exponentials_do_not_overflow() -> None:
    assert log_sum([1000.0, 1000.0]) == pytest.approx(1000.0 + math.log(2))
    assert log_sum([-math.inf, -math.inf]) == -math.inf
