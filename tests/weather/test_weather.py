"""The short form of the soak: enough voyages to meet every fault, and every errand in calm water.

`make soak` sails for as long as it is told, and wants every fault met at every transition.
"""

from __future__ import annotations

import pytest

from tests.conftest import QUICK
from tests.weather.errands import ERRANDS, Errand
from tests.weather.faults import FAULTS
from tests.weather.matrix import IMPOSSIBLE
from tests.weather.soak import Soak
from tests.weather.strategies import STRATEGIES
from tests.weather.voyage import BASE, charted, voyage

VOYAGES = 20 if QUICK else 160


@pytest.mark.parametrize("errand", ERRANDS, ids=lambda errand: errand.name)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_calm_water(strategy: str, errand: Errand) -> None:
    """Every errand ends, and every transition that it makes is in the matrix."""
    assert charted(strategy, errand).transitions


@pytest.mark.timeout(600)
def test_foul_weather() -> None:
    """Voyage after voyage, nothing is violated; all kinds of faults were met."""
    soak = Soak(seed=7)
    for _ in range(VOYAGES):
        soak.one()
        assert not soak.violations, soak.violations[0]
    met = {fault for _, fault in soak.matrix.hits}
    assert QUICK or not {fault.name for fault in FAULTS} - met


def test_a_number_is_a_whole_voyage() -> None:
    """The number of a voyage reproduces it, to the last sentence."""
    first, second = voyage(7 * BASE + 1), voyage(7 * BASE + 1)
    first.sail()
    second.sail()
    assert first.world.story == second.world.story
    assert first.log.hits == second.log.hits


def test_the_soak_finds_what_is_missing() -> None:
    """A run that is too short says so: pairs that were never met fail it."""
    soak = Soak(seed=8)
    before = len(list(soak.matrix.zeros()))
    soak.one()
    assert 0 < len(list(soak.matrix.zeros())) < before


def test_names_are_told_apart() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert len({errand.name for errand in ERRANDS}) == len(ERRANDS)
    assert all(entry.reason for entry in IMPOSSIBLE)
