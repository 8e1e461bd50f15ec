"""The soak catches what it is there to catch: bugs planted into the planner are reported within a few voyages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from seatrial.api.status import CheckStatus, Outcome
from seatrial.core import checks, plan, traffic
from tests.weather.faults import FAULTS
from tests.weather.voyage import BASE, Heading, Violation, charted, voyage

VOYAGES = 960


@pytest.fixture(autouse=True)
def _own_charts() -> Iterator[None]:
    """Nobody else is to be held against the charts of a planner with a bug."""
    charted.cache_clear()
    yield
    charted.cache_clear()


def sail_on(aims: str) -> None:
    """Voyages to any place, with a fault of such a name for the target."""
    random = Random(7)
    faults = [index for index, fault in enumerate(FAULTS) if aims in fault.name]
    for _ in range(VOYAGES):
        heading = replace(Heading.of(random.randrange(BASE)), fault=random.choice(faults))
        voyage(heading.number).sail()


Plant = Callable[[pytest.MonkeyPatch], None]


def weights_in_one_step(patch: pytest.MonkeyPatch) -> None:
    original = traffic.step_towards

    def direct(*args: Any, **options: Any) -> Any:
        return original(*args, **{**options, "direct": True})

    patch.setattr(plan, "step_towards", direct)


def nobody_waits_for_the_drain(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan, "drained", lambda *_: True)


def no_answer_is_a_yes(patch: pytest.MonkeyPatch) -> None:
    original = checks.judge

    def judge(*args: Any) -> CheckStatus:
        judged = original(*args)
        blind = judged.outcome in (Outcome.NO_DATA, Outcome.ERROR)
        return judged.model_copy(update={"outcome": Outcome.PASS}) if blind else judged

    patch.setattr(checks, "judge", judge)


def weights_are_believed_at_once(patch: pytest.MonkeyPatch) -> None:
    original = traffic.read

    def read(*args: Any, **options: Any) -> Any:
        reading = original(*args, **options)
        done = reading.status.model_copy(update={"confirmed": reading.status.wanted, "unsettled_since": None})
        return traffic.Reading(done, settled=True)

    patch.setattr(plan, "read", read)


def a_lost_status_is_not_looked_after(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan, "caught_up", lambda _model, status, _route, _falling: status)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("plant", "aims"),
    [
        (weights_in_one_step, ""),
        (nobody_waits_for_the_drain, ""),
        (no_answer_is_a_yes, ""),
        (weights_are_believed_at_once, ""),
        (a_lost_status_is_not_looked_after, "the status"),
    ],
)
def test_a_planted_bug_is_reported(plant: Plant, aims: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(Violation, match="again: "):
        sail_on(aims)
