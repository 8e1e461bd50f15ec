"""Numbers in sentences."""

from __future__ import annotations

import doctest
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from seatrial.api.spec import Check, CheckPreset, Strategy
from seatrial.core import bins, plain
from seatrial.core.checks.forecast import Stable, warning
from seatrial.core.checks.terms import terms_of
from seatrial.core.legs import legs


def test_numbers_are_told_without_exponents() -> None:
    assert doctest.testmod(plain).failed == 0
    assert doctest.testmod(bins).failed == 0


@given(st.floats(1e-9, 1e9))
def test_a_number_is_not_mistaken_for_another(value: float) -> None:
    told = plain.plain(value)
    assert "e" not in told
    if value < 1.0 and value * (1.0 - value) > 1e-8:
        assert told != "1"
        assert float(told.replace(",", "")) > 0.0


@given(st.floats(0.0, 1.0))
def test_a_share_has_no_exponent(value: float) -> None:
    told = plain.percent(value)
    assert "e-" not in told
    assert told.endswith("%")


def test_errors_too_rare_to_be_counted_are_said_to_be() -> None:
    terms = terms_of(Check(name="errors", preset=CheckPreset.ERRORS))
    said = warning("errors", terms, Stable(1.0, 4.9e-8, 1.0), legs(Strategy()), timedelta(seconds=15), 200)
    assert "below 0.0001% of them bad" in said
    assert "a rise from below 0.0001% to 4% " in said
