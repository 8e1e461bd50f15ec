"""Quality that slides from release to release, each step within the margin."""

from __future__ import annotations

import doctest
import math
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seatrial.api.spec import Check, MetricSource
from seatrial.api.status import CheckStatus, Phase, QualityStatus, Release, ReleaseRate, Status
from seatrial.core import sliding
from seatrial.core.commands import Action
from seatrial.core.passing import Pass
from seatrial.core.questions import Answers
from seatrial.core.statistics import bounds
from seatrial.runtime.telemetry import Telemetry
from tests.core.test_stories import check_story, ends, served
from tests.sim.world import START, Behaviour, World, base_spec

TOLD: dict[str, Any] = {}
MARGIN = {"name": "errors", "preset": "Errors", "margin": {"points": "1"}, "max": "20%"}
WIDE = {**MARGIN, "margin": {"points": "2"}}
QUICK = {"stages": [{"canary": {"steps": [{"weight": 50, "minDuration": "30s"}]}}], "probation": {"duration": "0s"}}
SPEC = base_spec(
    strategy=QUICK,
    traffic={"hostnames": ["fraud.example.com"], "drain": "5s"},
    analysis={"interval": "5s", "minSamples": 200, "checks": [WIDE]},
)


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


def release(world: World, number: int, errors: float) -> str:
    """A new revision that is promoted, whatever it takes."""
    new = world.image(f"fraud:v{number}", Behaviour(errors=errors))
    accepted = world.run(3600, until=lambda w: w.status.stable == new and w.status.phase is Phase.STABLE)
    assert accepted, f"{new} was to be accepted, since each step is within the margin: {world.status.message}"
    return new


def slid(world: World) -> list[str]:
    return [] if world.status.quality is None else [one.message for one in world.status.quality.sliding]


@story
def ten_releases_each_a_little_worse() -> World:
    """Each is accepted, 0.4 margins worse than the one before; the alarm comes once chance cannot explain the sum."""
    world = served(spec=SPEC)
    alarms = []
    for number in range(2, 12):
        release(world, number, errors=0.002 + 0.008 * (number - 2))
        alarms.append(bool(slid(world)))
    first = alarms.index(True)
    assert first > 5, "five steps of 0.4 margins are twice the margin, and no more"
    assert all(alarms[first:])
    told = [line for line in world.story if "QualitySliding" in line]
    assert len(told) == len(alarms) - first, "once for each release that is worse, and not at each pass"
    world.run(60)
    writes = world.status_writes
    world.run(600)
    assert world.status_writes == writes, "an alarm that stands costs no write"
    release(world, 12, errors=0.002)
    assert slid(world) == []
    return world


def test_a_release_that_is_taken_back_is_no_release() -> None:
    """On probation it goes back, and what serves is again held against what came before it."""
    spec = {**SPEC, "strategy": {**QUICK, "probation": {"duration": "1h"}}}
    world = served(spec=spec)
    new = world.image("fraud:v2", Behaviour(errors=0.005))
    assert world.run(1500, until=lambda w: w.status.phase is Phase.PROBATION)
    assert world.status.quality is not None
    assert next(one.revision for one in world.status.quality.releases) == new
    world.command(Action.ABORT, new)
    ends(world, Phase.ROLLED_BACK)
    assert world.status.quality is not None
    assert new not in [one.revision for one in world.status.quality.releases]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    """The world ends as it should, and the story is the one on file."""
    check_story(name, TOLD[name]())


# --- the rule, without a world ---------------------------------------------------------------------------------------

ASKED = "0123456789ab"


def one(
    number: int, events: int, total: int, *, asked: str = ASKED, check: str = "errors", clumped: float = 1
) -> Release:
    rate = ReleaseRate(check=check, asked=asked, events=events, total=total, inflation=int(1000 * clumped))
    return Release(revision=f"{number:010x}", at=START + timedelta(hours=number), rates=[rate])


def judged(
    releases: Sequence[Release], *, reference: str | None = None, check: Any = None, pinned: Release | None = None
) -> QualityStatus:
    """Releases, the oldest first, and what is said of the last one."""
    spec = base_spec(analysis={"checks": [check or MARGIN], **({"reference": reference} if reference else {})})
    world = World(spec=spec)
    quality = QualityStatus(releases=list(reversed(releases)), pinned=pinned)
    status = Status(stable=releases[-1].revision, quality=quality)
    observed = world.observe()
    assert observed.spec is not None
    p = Pass(observed, observed.spec, world.wanted, Answers(), START, world.installation)
    out = sliding.follow(p, status).quality
    assert out is not None
    assert sliding.follow(p, status.model_copy(update={"quality": out})).quality == out, "said once"
    assert len([event for event in p.events if event.reason == "QualitySliding"]) == len(out.sliding)
    return out


def told(*releases: Release, **more: Any) -> str:
    found = judged(releases, **more).sliding
    return found[0].message if found else ""


def test_the_sentence_has_both_rates_and_the_margin() -> None:
    assert told(one(1, 60, 10_000), one(2, 200, 10_000), one(3, 400, 10_000)) == (
        "quality is sliding over 2 releases: errors 4.00% now (10,000 requests), 0.60% with 0000000001 2 releases ago "
        "(10,000), margin 1.00 points; the difference is more than twice the margin, and not by chance"
    )


def test_up_to_twice_the_margin_is_nothing() -> None:
    assert told(one(1, 6_000, 1_000_000), one(2, 25_900, 1_000_000)) == ""
    assert told(one(1, 6_000, 1_000_000), one(2, 28_000, 1_000_000)) != ""


def test_the_best_of_the_last_ten_is_the_reference() -> None:
    best = one(3, 10, 10_000)
    out = told(one(1, 400, 10_000), best, one(4, 300, 10_000), one(5, 500, 10_000))
    assert f"with {best.revision} 2 releases ago" in out


def test_a_rate_of_few_requests_is_no_reference_and_is_held_against_none() -> None:
    assert told(one(1, 0, 999), one(2, 500, 10_000)) == ""
    assert told(one(1, 10, 10_000), one(2, 500, 999)) == ""
    assert told(one(1, 0, 1000), one(2, 500, 10_000)) != ""


def test_clumps_are_fewer_requests() -> None:
    assert told(one(1, 20, 2_000), one(2, 130, 2_000)) != ""
    assert told(one(1, 20, 2_000, clumped=10), one(2, 130, 2_000, clumped=10)) == ""


def test_only_the_same_question_is_held_against_each_other() -> None:
    assert told(one(1, 10, 10_000, asked="another"), one(2, 500, 10_000)) == ""
    assert told(one(1, 10, 10_000, check="latency"), one(2, 500, 10_000)) == ""


def test_a_named_release_is_the_reference() -> None:
    named = one(2, 300, 10_000)
    releases = (one(1, 10, 10_000), named, one(3, 400, 10_000))
    assert told(*releases) != ""
    out = judged(releases, reference=named.revision)
    assert (out.sliding, out.pinned, out.note) == ([], named, "")


def test_a_named_release_stays_known_when_it_has_left_the_list() -> None:
    named = one(0, 10, 10_000)
    later = [one(number, 400, 10_000) for number in range(1, 12)]
    assert told(*later) == ""
    out = judged(later, reference=named.revision, pinned=named)
    assert "with 0000000000 11 releases ago" in out.sliding[0].message
    assert out.pinned == named


def test_a_name_that_is_not_known_is_said_and_the_best_counts() -> None:
    out = judged((one(1, 10, 10_000), one(2, 500, 10_000)), reference="f" * 10)
    assert out.sliding
    assert out.note == (
        "analysis.reference names revision ffffffffff, whose rates are not known, so the best of the last releases is the "
        "reference; known are 0000000002, 0000000001"
    )


SHARE = {"name": "errors", "share": {"of": "orders_total", "per": "requests_total"}, "margin": {"points": "1"}}


def test_a_share_that_falls_slides_where_lower_is_worse() -> None:
    lower = {**SHARE, "worseWhen": "Lower"}
    assert "errors 90.00% now" in told(one(1, 9_500, 10_000), one(2, 9_000, 10_000), check=lower)
    assert told(one(1, 9_000, 10_000), one(2, 9_500, 10_000), check=lower) == ""


def test_of_a_share_that_is_worse_in_either_direction_there_is_no_best() -> None:
    either = {**SHARE, "worseWhen": "Either"}
    releases = one(1, 2_000, 10_000), one(2, 3_000, 10_000)
    assert told(*releases, check=either) == ""
    assert told(*releases, check=either, reference=releases[0].revision) != ""
    assert told(*reversed(releases), check=either, reference=releases[1].revision) != ""


def test_a_check_without_a_margin_has_nothing_to_slide_by() -> None:
    only_max = {name: part for name, part in SHARE.items() if name != "margin"} | {"max": "90%"}
    assert told(one(1, 10, 10_000), one(2, 5_000, 10_000), check=only_max) == ""


def test_equal_releases_raise_no_alarm_by_chance() -> None:
    """Ten releases of one rate, the smallest margin that a check has by default, and the best of them as reference."""
    dice, wrong = random.Random(20261127), 0
    default = {"name": "errors", "preset": "Errors"}
    check = Check.model_validate(default)
    for _ in range(300):
        share, total = dice.choice([0.001, 0.01, 0.1]), dice.choice([1_000, 5_000, 50_000])
        counts = [_poisson(dice, share * total) for _ in range(11)]
        releases = [one(number, min(total, count), total) for number, count in enumerate(reversed(counts))]
        wrong += bool(list(sliding._sliding([check], releases, None)))
    assert wrong == 0


def _poisson(dice: random.Random, mean: float) -> int:
    if mean > 100:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    out, left = 0, math.exp(-mean)
    product = dice.random()
    while product > left:
        out, product = out + 1, product * dice.random()
    return out


def test_what_is_asked_is_who_counts_and_from_when_on_an_answer_is_slow() -> None:
    latency = Check.model_validate({"name": "latency", "preset": "Latency"})
    stored = CheckStatus(name="latency", source=MetricSource.GATEWAY, slower_than="250")
    other = [
        stored.model_copy(update={"slower_than": "500"}),
        stored.model_copy(update={"source": MetricSource.RUNTIME}),
    ]
    assert len({sliding._asked(latency, entry) for entry in (stored, *other)}) == 3
    wider = latency.model_copy(update={"on_fail": "Pause"})
    assert sliding._asked(wider, stored) == sliding._asked(latency, stored)


def test_a_check_that_slides_is_a_series_until_it_does_not() -> None:
    telemetry = Telemetry()
    key = ("payments", "fraud")
    quality = judged((one(1, 10, 10_000), one(2, 500, 10_000)))
    telemetry.stored(key, Status(), Status(quality=quality))
    labels = {"namespace": "payments", "name": "fraud", "check": "errors"}
    assert telemetry.registry.get_sample_value("seatrial_quality_sliding", labels) == 1
    telemetry.stored(key, Status(), Status())
    assert telemetry.registry.get_sample_value("seatrial_quality_sliding", labels) is None


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_the_examples_in_the_docstrings() -> None:
    assert doctest.testmod(bounds).failed == 0


@given(st.integers(1, 120), st.floats(0, 1), st.sampled_from([0.05, 0.001]))
@settings(max_examples=40, deadline=None)
def test_bounds_hold_for_every_number_of_requests(total: int, share: float, chance: float) -> None:
    """The sum of the chances of all counts whose bound would be wrong, worked out exactly."""
    below = above = 0.0
    for events in range(total + 1):
        likely = math.comb(total, events) * share**events * (1 - share) ** (total - events)
        above += likely if bounds.lower(events, total, chance) > share else 0.0
        below += likely if bounds.upper(events, total, chance) < share else 0.0
    assert above <= chance * (1 + 1e-9)
    assert below <= chance * (1 + 1e-9)
