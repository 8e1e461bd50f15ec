"""Live predictions against a training snapshot: it tells once, it tells again when it is over, and nothing else happens."""

from __future__ import annotations

import copy
import doctest
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from seatrial.api.status import LiveState, LiveStatus, Phase
from seatrial.core import live, snapshot
from seatrial.core.plan import ask, plan
from seatrial.core.snapshot import Snapshot
from seatrial.core.state import Manifest
from seatrial.runtime.telemetry import Telemetry
from tests.core.test_house import policy
from tests.core.test_stories import check_story, ends
from tests.sim.invariants import Invariants
from tests.sim.prometheus import Weather
from tests.sim.training import USUAL, trained
from tests.sim.world import Behaviour, World, base_spec, settled

TOLD: dict[str, Any] = {}
EVERY = 60
"""Seconds between two looks in these worlds."""


def story(tell: Any) -> Any:
    TOLD[tell.__name__] = tell
    return tell


def watched(of: Manifest = USUAL, **changes: Any) -> dict[str, Any]:
    entry = {
        "name": "scores",
        "drift": {"histogram": "model_score"},
        "snapshot": {"name": of["metadata"]["name"]},
        "window": "10m",
        "every": "1m",
    }
    return {**entry, **changes}


def spec_with(*live: dict[str, Any], **changes: Any) -> dict[str, Any]:
    spec = base_spec(**changes)
    spec["analysis"]["live"] = list(live)
    return spec


def run(world: World, seconds: int, *, until: Callable[[World], bool] | None = None) -> bool:
    """Time passes in strides of a scrape, which is enough while nothing is under way."""
    for _ in range(seconds // 5):
        world.step(5.0)
        if until is not None and until(world):
            return True
    return until is None


def has(world: World, *snapshots: Manifest) -> None:
    for one in snapshots:
        world.config_maps[one["metadata"]["name"]] = one


def serving(
    *live: dict[str, Any], snapshots: Sequence[Manifest] = (USUAL,), rate: float = 20.0, **changes: Any
) -> World:
    """A world in which v1 serves and its scores are watched."""
    world = World(spec=spec_with(*(live or (watched(),)), **changes), rate=rate)
    has(world, *snapshots)
    assert world.run(90, until=settled), world.status.message
    return world


def known(world: World, name: str = "scores") -> LiveStatus:
    return next(one for one in world.status.live if one.name == name)


def becomes(world: World, state: LiveState, seconds: int = 1500) -> LiveStatus:
    reached = run(world, seconds, until=lambda w: bool(w.status.live) and w.status.live[0].state is state)
    assert reached, f"{state} was to come, and it is {world.status.live}"
    return known(world)


def told(world: World, *reasons: str) -> list[str]:
    wanted = reasons or ("TrainingDrift", "TrainingDriftEnded", "SnapshotUnusable")
    return [event.reason for event in world.events if event.reason in wanted]


# --- stories ----------------------------------------------------------------------------------------------------------


@story
def the_world_moves_on_and_comes_back() -> World:
    """An alert begins once and ends once; in between and afterwards nothing is written."""
    world = World(spec=spec_with(watched()), rate=20.0)
    world.watchers.append(Invariants())
    has(world, USUAL)
    world.image("fraud:v1")
    assert world.run(60, until=settled), world.status.message
    becomes(world, LiveState.WITHIN)
    world.behaviours["fraud:v1"] = Behaviour(scores=1.5)
    becomes(world, LiveState.DRIFTED)
    assert known(world).alert is not None
    run(world, 1800)
    world.behaviours["fraud:v1"] = Behaviour()
    becomes(world, LiveState.WITHIN)
    assert known(world).alert is None
    assert told(world, "TrainingDrift", "TrainingDriftEnded") == ["TrainingDrift", "TrainingDriftEnded"]
    assert world.status.phase is Phase.STABLE
    return world


@pytest.mark.parametrize("name", sorted(TOLD))
def test_story(name: str) -> None:
    check_story(name, TOLD[name]())


# --- at rest ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drifted", [0.0, 1.5], ids=["within", "drifted"])
def test_a_state_that_stands_writes_nothing_and_asks_once_for_each_look(drifted: float) -> None:
    world = serving()
    world.behaviours["fraud:v1"] = Behaviour(scores=drifted)
    becomes(world, LiveState.DRIFTED if drifted else LiveState.WITHIN)
    world.run(5)
    writes, objects, asked, passes = world.status_writes, world.writes, world.prometheus.asked, world._passes
    run(world, 20 * EVERY)
    assert (world.status_writes, world.writes) == (writes, objects)
    assert world.prometheus.asked - asked == 20, "one question for each look"
    assert world._passes - passes == 20, "and it is only then that anybody looks"


def test_what_is_not_watched_asks_nothing() -> None:
    world = World(spec=base_spec(), rate=20.0)
    assert world.run(90, until=settled)
    world.run(5)
    asked, passes = world.prometheus.asked, world._passes
    run(world, 3600)
    assert (world.prometheus.asked, world._passes) == (asked, passes)
    assert world.status.live == []


def test_two_models_are_not_looked_at_at_the_same_time() -> None:
    at = set()
    for uid in ("uid-1", "uid-2"):
        world = World(spec=spec_with(watched(every="1h")), rate=20.0)
        world.resource["metadata"]["uid"] = uid
        has(world, USUAL)
        assert world.run(90, until=settled)
        assert world.wake_at is not None
        world.run(10)
        at.add(world.wake_at)
    assert len(at) == 2


def test_an_operator_that_restarts_goes_on_where_it_was() -> None:
    """It neither asks at once, which a thousand models would do together, nor tells again."""
    world = serving()
    world.behaviours["fraud:v1"] = Behaviour(scores=1.5)
    before = becomes(world, LiveState.DRIFTED)
    asked = world.prometheus.asked
    world.kill_operator()
    world.step()
    assert world.prometheus.asked == asked
    run(world, 5 * EVERY)
    assert known(world) == before
    assert world.prometheus.asked - asked == 5
    assert told(world) == ["TrainingDrift"]


# --- beside a trial ---------------------------------------------------------------------------------------------------


def course(*live: dict[str, Any], snapshots: Sequence[Manifest] = (), **strategy: Any) -> World:
    """A trial of a second image, through its probation."""
    spec = base_spec()
    spec["strategy"]["probation"] = {"duration": "5m"}
    spec["strategy"] |= strategy
    if live:
        spec["analysis"]["live"] = list(live)
    world = World(spec=spec)
    has(world, *snapshots)
    assert world.run(90, until=settled)
    world.run(300)
    world.image("fraud:v2")
    assert world.run(900, until=lambda w: w.status.phase is Phase.PROBATION), world.status.message
    assert world.run(600, until=lambda w: w.status.phase is Phase.STABLE), world.status.message
    return world


def test_nothing_of_a_trial_follows_from_an_alert() -> None:
    """Every decision is taken in the same second as without it, and so is a pause that is not."""
    other = trained(2.0)
    alone, beside = course(), course(watched(other), snapshots=(other,))
    assert known(beside).alert is not None
    assert [(e.revision, e.started, e.ended, e.outcome) for e in beside.status.history] == [
        (e.revision, e.started, e.ended, e.outcome) for e in alone.status.history
    ]
    ours = ("TrainingDrift", "TrainingDriftEnded", "SnapshotUnusable")
    decisions = [line for line in beside.story if not any(word in line for word in ours)]
    assert decisions == alone.story
    assert beside.status.paused is None


def test_what_serves_is_watched_in_a_trial_and_in_a_probation() -> None:
    spec = spec_with(watched())
    spec["strategy"]["probation"] = {"duration": "1h"}
    world = World(spec=spec)
    has(world, USUAL)
    assert world.run(90, until=settled)
    becomes(world, LiveState.WITHIN)
    first, new = world.status.stable, world.image("fraud:v2")
    assert world.run(60, until=lambda w: w.status.phase is Phase.CANARY)
    world.behaviours["fraud:v1"] = Behaviour(scores=2.0)
    assert world.run(900, until=lambda w: w.status.live[0].alert is not None)
    assert (world.status.stable, world.status.rollout is not None) == (first, True)
    assert world.run(900, until=lambda w: w.status.phase is Phase.PROBATION)
    assert told(world) == ["TrainingDrift", "TrainingDriftEnded"], "the one that serves now is another"
    becomes(world, LiveState.WITHIN, 300)
    world.behaviours["fraud:v2"] = Behaviour(scores=2.0)
    becomes(world, LiveState.DRIFTED, 900)
    assert (world.status.stable, world.status.phase) == (new, Phase.PROBATION)


def test_a_look_of_a_trial_comes_first() -> None:
    """Both are due in one pass: the trial's questions go alone, the other's a second later."""
    world = serving(rate=200.0)
    world.image("fraud:v2")
    together: list[bool] = []

    def listen(w: World, _: object) -> None:
        asked = ask(w.observe(), w.clock, w.installation)
        together.append(bool(asked.snapshots) and len(asked.metrics) > 1)

    world.watchers.append(listen)
    asked = {"live": 0}
    answer = world.answers

    def counting(questions: Any) -> Any:
        asked["live"] += len(questions.snapshots)
        return answer(questions)

    world.answers = counting  # type: ignore[method-assign] # to count what is asked
    world.run(180)
    assert world.status.rollout is not None
    assert not any(together)
    assert asked["live"] >= 3


# --- which model ------------------------------------------------------------------------------------------------------


def versioned(version: str) -> Callable[[dict[str, Any]], None]:
    def change(spec: dict[str, Any]) -> None:
        spec["model"] = {"name": "fraud", "version": version}

    return change


def test_a_snapshot_of_another_version_is_not_held_against_what_serves() -> None:
    old, new = trained(model_version="1"), trained(1.5, model_version="2")
    world = serving(watched(old), snapshots=(old, new), rate=200.0, model={"name": "fraud", "version": "1"})
    becomes(world, LiveState.WITHIN)

    def change(spec: dict[str, Any]) -> None:
        versioned("2")(spec)
        spec["template"]["spec"]["containers"][0]["image"] = "fraud:v2"
        spec["analysis"]["live"] = [watched(new)]

    world.behaviours["fraud:v2"] = Behaviour(scores=1.5)
    first = world.status.stable
    world.edit(change)
    assert becomes(world, LiveState.OTHER_MODEL, 60).message == (
        f"scores: snapshot {new['metadata']['name']} is of model version 2, and revision {first} serves, of version 1: name the "
        "snapshot of the model that serves"
    )
    ends(world, Phase.STABLE)
    assert world.status.stable != first
    becomes(world, LiveState.WITHIN, 600)
    assert told(world) == []


def test_a_snapshot_without_a_version_is_of_the_revision_it_was_named_with() -> None:
    new = trained(1.5)
    world = serving(snapshots=(USUAL, new), rate=200.0)
    becomes(world, LiveState.WITHIN)
    world.behaviours["fraud:v2"] = Behaviour(scores=1.5)
    wanted = world.image("fraud:v2")
    world.edit(lambda spec: spec["analysis"].update(live=[watched(new)]))
    assert f"was named while revision {wanted} is wanted" in becomes(world, LiveState.OTHER_MODEL, 60).message
    run(world, 3 * EVERY)
    assert known(world).state is LiveState.OTHER_MODEL
    ends(world, Phase.STABLE)
    becomes(world, LiveState.WITHIN, 600)
    assert told(world) == []


def test_one_that_was_named_before_goes_on_in_a_trial() -> None:
    world = serving(rate=200.0)
    before = becomes(world, LiveState.WITHIN)
    world.image("fraud:v2")
    world.run(2 * EVERY)
    assert world.status.rollout is not None
    assert known(world) == before


# --- what is in the way -----------------------------------------------------------------------------------------------


def test_a_snapshot_that_does_not_exist_is_said_and_stalls_nothing() -> None:
    world = serving(snapshots=(), rate=200.0)
    name = USUAL["metadata"]["name"]
    assert becomes(world, LiveState.NO_SNAPSHOT, 60).message == (
        f"scores: ConfigMap {name} does not exist in namespace models: apply what `seatrial snapshot` wrote, or correct "
        "analysis.live"
    )
    world.image("fraud:v2")
    ends(world, Phase.STABLE)
    assert told(world).count("SnapshotUnusable") == 2, "once for each revision that serves"
    has(world, USUAL)
    becomes(world, LiveState.WITHIN)


def altered(change: Callable[[Manifest], None]) -> Manifest:
    other = copy.deepcopy(USUAL)
    change(other)
    return other


BAD: dict[str, tuple[Manifest, str]] = {
    "altered": (
        altered(lambda one: one["data"].update({"snapshot.json": one["data"]["snapshot.json"].replace("[", "[1", 1)})),
        "was changed or renamed: its content has the hash ",
    ),
    "no snapshot": (altered(lambda one: one["data"].clear()), "has no key 'format', so it is no training snapshot"),
    "too large": (
        altered(lambda one: one["data"].update({"snapshot.json": " " * 70_000})),
        "holds 70,000 bytes, and a snapshot has 65,536 at the most",
    ),
}


@pytest.mark.parametrize("what", sorted(BAD))
def test_a_config_map_that_is_no_snapshot_any_more_is_refused(what: str) -> None:
    bad, said = BAD[what]
    world = serving()
    becomes(world, LiveState.WITHIN)
    has(world, bad)
    message = becomes(world, LiveState.BAD_SNAPSHOT, 2 * EVERY).message
    assert said in message
    assert bad["metadata"]["name"] in message
    writes = world.status_writes
    run(world, 5 * EVERY)
    assert (world.status_writes, told(world)) == (writes, ["SnapshotUnusable"])


def test_other_edges_than_the_metric_has_are_said() -> None:
    other = snapshot.build(
        "fraud", "models", Snapshot(metric="model_score", counts=(900, 800, 700, 600), edges=("0.1", "0.123", "0.5"))
    )
    world = serving(watched(other), snapshots=(other,))
    message = becomes(world, LiveState.OTHER_BINS, 120).message
    assert "was counted with other buckets than the metric has now: model_score_bucket of fraud-" in message
    assert "has no bucket with the edge 0.123" in message


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ({"histogram": "other_score"}, "is of the metric model_score, and other_score is watched"),
        ({"classes": "model_score", "by": "decision"}, "counts a histogram, and model_score is watched by decision"),
    ],
)
def test_a_snapshot_of_another_metric_is_said(drift: dict[str, str], said: str) -> None:
    world = serving(watched(drift=drift))
    assert said in becomes(world, LiveState.OTHER_BINS, 60).message


def test_a_metric_that_is_not_there_is_said_with_what_was_looked_for() -> None:
    counts = USUAL["data"]["snapshot.json"]
    assert "model_score" in counts
    other = trained(metric="other_score")
    world = serving(watched(other, drift={"histogram": "other_score"}), snapshots=(other,))
    message = becomes(world, LiveState.NO_METRIC, 120).message
    assert f"stable revision {world.status.stable} has no predictions in the last 10m" in message
    assert "other_score_bucket" in message


def test_too_few_predictions_are_said_with_how_many_there_are() -> None:
    world = serving(rate=0.1)
    message = becomes(world, LiveState.TOO_FEW, 120).message
    assert "predictions in the 10m to 2026-03-02 09:" in message
    assert "are the least: choose a longer window, or wait for more traffic" in message


def test_a_little_less_than_enough_lets_the_verdict_stand() -> None:
    """Nights around the least number would else be written down all night."""
    world = serving(rate=1.0)
    becomes(world, LiveState.WITHIN, 3000)
    world.rate = 0.2
    run(world, 1500)
    assert known(world).state is LiveState.WITHIN
    world.rate = 0.05
    becomes(world, LiveState.TOO_FEW, 1800)


@pytest.mark.parametrize("weather", [Weather.DOWN, Weather.TIMES_OUT, Weather.PARTIAL])
def test_prometheus_that_does_not_answer_is_said_once_and_an_alert_stands(weather: Weather) -> None:
    world = serving()
    world.behaviours["fraud:v1"] = Behaviour(scores=1.5)
    before = becomes(world, LiveState.DRIFTED)
    world.prometheus.weather = weather
    assert becomes(world, LiveState.NO_ANSWER, 120).alert == before.alert
    writes = world.status_writes
    run(world, 5 * EVERY)
    assert world.status_writes == writes
    world.prometheus.weather = Weather.FINE
    assert becomes(world, LiveState.DRIFTED, 600).alert == before.alert
    assert told(world) == ["TrainingDrift"]


@pytest.mark.parametrize(("field", "value"), [("replicas", 0), ("suspend", True)])
def test_a_parked_or_suspended_model_is_not_looked_at(field: str, value: object) -> None:
    world = serving()
    becomes(world, LiveState.WITHIN)
    world.edit(lambda spec: spec.update({field: value}))
    run(world, 120)
    asked = world.prometheus.asked
    run(world, 5 * EVERY)
    assert world.prometheus.asked == asked
    assert known(world).state is LiveState.WITHIN


def test_what_is_watched_no_more_ends_its_alert() -> None:
    world = serving()
    world.behaviours["fraud:v1"] = Behaviour(scores=1.5)
    becomes(world, LiveState.DRIFTED)
    world.edit(lambda spec: spec["analysis"].pop("live"))
    world.run(5)
    assert world.status.live == []
    assert told(world) == ["TrainingDrift", "TrainingDriftEnded"]


def test_house_rules_leave_what_is_watched_alone() -> None:
    world = serving()
    critical = policy(
        checks=[{"name": "errors", "preset": "Errors"}], require={"checks": ["errors"], "minSamples": 900}
    )
    world.rules("a policy that requires a check", critical)
    world.run(5)
    assert world.status.house
    becomes(world, LiveState.WITHIN)
    assert known(world).name == "scores"


def test_a_distance_near_the_limit_says_what_would_tell() -> None:
    world = serving(watched(drift={"histogram": "model_score", "max": "0.06"}), rate=1.0)
    message = becomes(world, LiveState.UNDECIDED, 1500).message
    assert "neither surely more than 0.06 nor surely less; a window with about " in message
    assert "predictions would tell" in message


def test_the_examples_in_the_docstrings() -> None:
    assert doctest.testmod(live).failed == 0


def test_classes_are_watched_too() -> None:
    drift = {"classes": "decisions_total", "by": "decision", "statistic": "JS", "max": "0.1"}

    def classes(blocked: int) -> Manifest:
        kept = Snapshot(
            metric="decisions_total", by="decision", classes=("block", "pass"), counts=(blocked, 10_000 - blocked)
        )
        return snapshot.build("fraud-decisions", "models", kept)

    good, bad = classes(2_000), classes(6_000)
    world = serving(watched(good, drift=drift), watched(bad, name="other", drift=drift), snapshots=(good, bad))
    becomes(world, LiveState.WITHIN)
    alert = known(world, "other").alert
    assert alert is not None
    assert "JS" in alert.message
    assert "block: 60.0 % → 20." in alert.message


def test_the_same_pass_decides_the_same() -> None:
    world = serving()
    world.run(EVERY)
    observed, now = world.observe(), world.now + timedelta(minutes=2)
    asked = ask(observed, now, world.installation)
    assert asked.snapshots
    answers = world.answers(asked)
    assert plan(observed, answers, now, world.installation) == plan(observed, answers, now, world.installation)


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_an_alert_a_state_and_the_distance_are_series() -> None:
    world = serving()
    world.behaviours["fraud:v1"] = Behaviour(scores=1.5)
    becomes(world, LiveState.DRIFTED)
    telemetry, key = Telemetry(), ("models", "fraud")
    labels = {"namespace": "models", "name": "fraud", "live": "scores"}

    def value(name: str, **more: str) -> float | None:
        return telemetry.registry.get_sample_value(name, {**labels, **more})

    telemetry.stored(key, world.status, world.status)
    telemetry.measured(key, {"scores": 0.9, "other": 0.1})
    assert value("seatrial_training_drift") == 1
    assert value("seatrial_training_drift_state", state="Drifted") == 1
    assert value("seatrial_training_drift_distance") == 0.9
    telemetry.measured(key, {"scores": None})
    assert value("seatrial_training_drift_distance") is None, "what could not be measured has no number any more"
    calm = world.status.model_copy(update={"live": [known(world).model_copy(update={"alert": None})]})
    telemetry.stored(key, world.status, calm)
    assert value("seatrial_training_drift") == 0
    telemetry.forget(key)
    assert value("seatrial_training_drift") is None
