"""The short form of the soak: enough voyages to meet every fault, and every errand in calm water.

`make soak` sails for as long as it is told, and wants every fault met at every transition.
"""

from __future__ import annotations

import pytest

from tests.conftest import QUICK
from tests.weather.errands import ERRANDS, Errand
from tests.weather.faults import FAULTS
from tests.weather.matrix import IMPOSSIBLE
from tests.weather.soak import Soak, run
from tests.weather.strategies import STRATEGIES
from tests.weather.voyage import Heading, charted, voyage

VOYAGES = 20 if QUICK else 100

pytestmark = pytest.mark.timeout(600)  # a soak begins with a chart of every course


@pytest.mark.parametrize("errand", ERRANDS, ids=lambda errand: errand.name)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_calm_water(strategy: str, errand: Errand) -> None:
    """Every errand ends, and every transition that it makes is in the matrix."""
    assert charted(strategy, errand).transitions


def test_foul_weather() -> None:
    """Voyage after voyage, nothing is violated; all kinds of faults were met."""
    soak = Soak(seed=7)
    for _ in range(VOYAGES):
        soak.one()
        assert not soak.violations, soak.violations[0][1]
    met = {fault for _, fault in soak.matrix.hits}
    assert QUICK or not {fault.name for fault in FAULTS} - met


def test_a_number_is_a_whole_voyage() -> None:
    """The number of a voyage reproduces it, to the last sentence."""
    number = Heading(seed=7, luck=1, course=25, place=3, fault=40).number
    assert Heading.of(number).number == number
    first, second = voyage(number), voyage(number)
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
    assert not soak.good


def test_the_soak_goes_where_it_has_not_been() -> None:
    """Voyages are steered: most of them meet the pair that they set out for."""
    soak = Soak(seed=9)
    for _ in range(10):
        soak.one()
    assert soak.matrix.met >= 10


def test_what_is_impossible_is_declared() -> None:
    """What calm runs never find at a transition is declared with its reason, and nothing else is."""
    declared = {(lack, name) for entry in IMPOSSIBLE for lack in entry.lack for name in entry.transitions}
    assert Soak(seed=1).matrix.never() == declared


def test_stopped_by_hand_it_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends it with the line of figures; a matrix with zeros is no success."""
    said: list[str] = []

    def stop(_soak: Soak) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Soak, "one", stop)
    assert not run(7, 60, say=said.append)
    assert said[-1].startswith("seed 7: 0 voyages")


def test_names_are_told_apart() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert len({errand.name for errand in ERRANDS}) == len(ERRANDS)
    assert all(entry.reason for entry in IMPOSSIBLE)
