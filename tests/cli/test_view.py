"""How a model looks in each phase and overlay, as pictures that a reviewer reads.

`UPDATE_PICTURES=1 pytest tests/cli/test_view.py` writes them anew.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType
from rich.style import Style

from seatrial.api.spec import ModelDeploymentSpec
from seatrial.api.status import Phase
from seatrial.cli import lines, story, view
from seatrial.cli.bar import Bar
from seatrial.cli.phases import PHASES
from seatrial.cli.raw import parse_duration, parse_time
from seatrial.cli.reading import Reading
from seatrial.core.legs import legs as lay_out
from tests.cli.worlds import ERRORS, HISTORY, LATENCY, NEW, NOW, OLD, WORLDS, canary, obj, promoted

PICTURES = Path(__file__).parent / "pictures"


def test_what_slides_over_releases_is_told() -> None:
    stable = WORLDS["stable"]()
    sentence = "quality is sliding over 2 releases: errors 4.00% now, 0.60% with 0000000001"
    stable["status"]["quality"] = {"sliding": [{"check": "errors", "message": sentence}]}
    assert f"↘ {sentence}" in drawn(view.live(stable, NOW))
    assert sentence in drawn(view.why(stable, NOW))


def watched(**live: object) -> str:
    stable = WORLDS["stable"]()
    stable["status"]["live"] = [{"name": "scores", "state": "Within", "message": "scores: PSI 0.01", **live}]
    return drawn(view.live(stable, NOW)) + "WHY" + drawn(view.why(stable, NOW))


def test_live_predictions_that_drift_are_told_and_those_that_do_not_only_to_who_asks() -> None:
    live, _, why = watched(at="2026-11-22T12:00:00Z").partition("WHY")
    assert "PSI 0.01" not in live
    assert "✔ scores: PSI 0.01" in why
    live, _, why = watched(
        state="Drifted", alert={"message": "scores: PSI 0.9", "since": "2026-11-22T12:00:00Z"}
    ).partition("WHY")
    assert "≠ scores: PSI 0.9" in live
    assert "Live predictions beside their training" in why
    assert "≠ scores: PSI 0.9" in why


def test_an_alert_and_what_is_in_the_way_are_both_told() -> None:
    live = watched(state="NoSnapshot", message="scores: gone", alert={"message": "scores: PSI 0.9"}).partition("WHY")[0]
    assert "≠ scores: PSI 0.9" in live
    assert "? scores: gone" in live


def drawn(picture: RenderableType, width: int = 100, **options: Any) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, **options).print(picture)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def agrees(name: str, text: str) -> None:
    """The picture is the one on file."""
    file = PICTURES / f"{name}.txt"
    if os.environ.get("UPDATE_PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text


@pytest.mark.parametrize("world", WORLDS)
def test_each_place_has_its_picture(world: str) -> None:
    model = WORLDS[world]()
    text = "\n".join(
        [
            f"# seatrial get fraud\n\n{drawn(view.live(model, NOW))}",
            f"# seatrial why fraud\n\n{drawn(view.why(model, NOW))}",
            f"# seatrial get fraud -w, without a terminal\n\n{lines.log_line(model, NOW)}\n",
        ]
    )
    agrees(world, text)


def test_the_list_shows_all_of_them() -> None:
    models = [{**make(), "metadata": {**make()["metadata"], "name": name}} for name, make in WORLDS.items()]
    narrow = "\n".join(lines.table(models, NOW, width=120))
    wide = "\n".join(lines.table(models, NOW, wide=True, namespaces=True))
    assert all(len(line) <= 120 for line in narrow.splitlines())
    agrees("list", f"# seatrial list, 120 columns\n\n{narrow}\n\n# seatrial list -A -o wide\n\n{wide}\n")


def test_history() -> None:
    agrees("history", drawn(view.history(obj(canary(history=HISTORY)), NOW)))
    assert drawn(view.history(obj(canary()), NOW)) == "fraud has no trial behind it yet.\n"


def test_the_history_says_who_skipped_the_checks() -> None:
    model = WORLDS["stable-unjudged"]()
    agrees("history-unjudged", drawn(view.history(model, NOW)))
    # A trial that was sent back all the same says so in a line of its own.
    model["status"]["history"][0] |= {"outcome": "RolledBack", "message": "pods restarted 4 times"}
    told = drawn(view.history(model, NOW)).splitlines()
    assert told[:2] == [
        f"✘ RolledBack  {NEW}  2026-11-20  1m ago, took 49m, unjudged",
        "  pods restarted 4 times",
    ]
    assert told[2].startswith("  ada@example.com skipped the checks (outage of the fraud rules")


def test_a_narrow_terminal_loses_nothing_that_matters() -> None:
    text = drawn(view.live(WORLDS["paused"](), NOW), 60)
    assert all(len(line) <= 60 for line in text.splitlines())
    agrees("narrow", text)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("world", ["shadow", "blue-green", "probation", "back-from-probation"])
def test_stages_fit_a_small_and_a_large_terminal(world: str, width: int) -> None:
    text = drawn(view.live(WORLDS[world](), NOW), width)
    assert all(len(line) <= width for line in text.splitlines())
    agrees(f"{world}-{width}", text)


def test_a_low_terminal_gets_it_without_blank_lines() -> None:
    model = WORLDS["paused"]()
    high = drawn(view.live(model, NOW), force_terminal=True, height=40, color_system=None)
    low = drawn(view.live(model, NOW), force_terminal=True, height=20, color_system=None)
    assert [line for line in high.splitlines() if line] == low.splitlines()


def test_no_colour_means_no_colour() -> None:
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=100, no_color=True, color_system="truecolor").print(
        view.live(WORLDS["canary"](), NOW)
    )
    # Bold and reverse remain; no foreground or background colour is set.
    assert "\033[3" not in out.getvalue().replace("\033[3m", "")
    assert "\033[4" not in out.getvalue().replace("\033[4m", "")


def test_the_phase_is_a_badge_and_not_a_bar() -> None:
    title = drawn(view.live(WORLDS["shadow"](), NOW), force_terminal=True, color_system="standard").splitlines()[0]
    assert "\033[7;35m Shadow \033[0m\033[2m  14m on trial\033[0m" in title


def test_commands_are_named_as_they_were_called() -> None:
    assert "kubectl seatrial resume fraud -n payments" in drawn(
        view.live(WORLDS["paused"](), NOW, command="kubectl seatrial")
    )


def test_texts_of_the_cluster_cannot_steer_the_terminal_or_the_markup() -> None:
    model = obj(canary(message="\033[2Jcleared [red]not markup[/red] \u202e"))
    text = drawn(view.live(model, NOW), force_terminal=True)
    assert "\033[2J" not in text
    assert "\u202e" not in text
    assert "[red]not markup[/red]" in text
    assert "\033" not in lines.log_line(model, NOW)


def test_why_tells_what_was_known_from_the_start() -> None:
    """Only of a check that is still open: of one that has passed nobody has to hear that it would take long."""
    late = LATENCY.model_copy(update={"forecast": "check latency: 25 % takes about 3h to pass"})
    quick = ERRORS.model_copy(update={"forecast": "check errors: 25 % takes about 2h to pass"})
    text = drawn(view.why(obj(canary(checks=[quick, late])), NOW))
    assert "Known since the first look" in text
    assert "25 % takes about 3h to pass" in text
    assert "2h" not in text
    assert "Known since" not in drawn(view.why(obj(canary()), NOW))


def test_the_clock_of_a_step() -> None:
    running = Reading(WORLDS["canary"]())
    assert running.left(NOW) == timedelta(minutes=2, seconds=50)
    assert running.left(NOW + timedelta(minutes=2)) == timedelta(seconds=50)
    # A clock that stands still leaves the same time however long one looks.
    standing = Reading(WORLDS["paused"]())
    assert standing.left(NOW) == standing.left(NOW + timedelta(hours=1)) == timedelta(minutes=3, seconds=50)


def test_the_clock_of_a_probation() -> None:
    model = WORLDS["probation"]()
    assert "42m left, until 15:42 UTC" in drawn(view.live(model, NOW))
    assert "2m left, until 15:42 UTC" in drawn(view.live(model, NOW + timedelta(minutes=40)))
    # Over, and the operator has not looked yet.
    assert "0s left, until 15:42 UTC" in drawn(view.live(model, NOW + timedelta(hours=1)))
    assert "until 2026-11-22 15:42 UTC" in drawn(view.live(model, NOW - timedelta(days=1)))


def test_every_stage_is_a_place_on_the_way() -> None:
    def places(world: str) -> list[str]:
        return [step.place for step in Reading(WORLDS[world]()).steps]

    assert places("canary") == ["5 %", "25 %", "50 %"]
    assert places("shadow") == ["shadow 20 %", "5 %", "50 %"]
    assert places("blue-green") == ["shadow 100 %", "preview"]
    # A stage of a newer operator is left out, and the others stay readable.
    newer = WORLDS["shadow"]()
    newer["spec"]["strategy"]["stages"].insert(0, {"interleave": {"percent": 3}})
    assert [step.place for step in Reading(newer).steps] == ["shadow 20 %", "5 %", "50 %"]


def test_the_steps_are_the_operator_s_own() -> None:
    """The command line lays the stages out by itself, since importing the models takes too long."""
    for world in ("canary", "shadow", "blue-green"):
        model = WORLDS[world]()
        legs = lay_out(ModelDeploymentSpec.model_validate(model["spec"]).strategy)
        assert [
            (step.percent if step.kind.share else 0, step.minimum, step.maximum, step.approval)
            for step in Reading(model).steps
        ] == [
            (leg.weight or leg.mirror, leg.min_duration, leg.max_duration, leg.approval.when if leg.approval else "")
            for leg in legs
        ]


def test_every_phase_is_known() -> None:
    assert set(PHASES) == set(Phase)
    for look in PHASES.values():
        assert look.colour in lines.CODES
        assert Style.parse(look.colour)


def test_a_phase_of_a_newer_operator_is_drawn_too() -> None:
    model = WORLDS["canary"]()
    model["status"] |= {"phase": "Interleaving"}
    model["status"]["rollout"]["overlay"] = {
        "kind": "Frozen",
        "message": "frozen until Monday",
        "since": "2026-11-22T14:00:00Z",
    }
    assert "Interleaving" in drawn(view.live(model, NOW))
    assert story.place(Reading(model)) == "Interleaving, frozen"
    assert "❄ Frozen until Monday (1h so far)" in drawn(view.live(model, NOW))


def test_the_spec_may_lead_back_too() -> None:
    """The old spec applied again on probation: no trial is under way, and the newer revision still gets traffic."""
    model = WORLDS["probation"]()
    status = model["status"] | {"phase": "RollingBack", "stable": OLD, "message": f"revision {OLD} serves"}
    del status["probation"], status["kept"]
    status["revisions"] = [
        {"name": OLD, "role": "stable", "replicas": 4, "ready": 3},
        {"name": NEW, "role": "leaving", "replicas": 4, "ready": 4},
    ]
    text = drawn(view.live({**model, "status": status}, NOW), 120)
    assert f"Revision {NEW} is being withdrawn, it still gets 90 % of live requests; revision {OLD} serves the" in text
    assert f"waits for ready pods of revision {OLD}: 3 of 4; traffic follows as they get ready" in text


def test_what_a_retry_after_a_probation_is_told_of() -> None:
    """Only the trial that ended on probation is said to have."""
    undone = WORLDS["back-from-probation"]()
    assert "sent back from its probation" in story.headline(Reading(undone))
    undone["status"]["history"].insert(0, undone["status"]["history"][0])
    assert "sent back; " in story.headline(Reading(undone))


def test_a_probation_passes_into_history() -> None:
    ended = [promoted(verdict) for verdict in ("Pass", "Undecided", "CutShort", "Fail", "Unheard")]
    text = drawn(view.history(obj(canary(history=ended)), NOW))
    agrees("history-probations", text)


def test_the_bar_shows_what_is_there_and_what_is_wanted() -> None:
    assert drawn(Bar(25, 25, "cyan", width=20)) == "█████···············\n"
    assert drawn(Bar(5, 25, "cyan", width=20)) == "█▒▒▒▒···············\n"
    assert drawn(Bar(25, 0, "cyan", width=20)) == "▒▒▒▒▒···············\n"
    assert drawn(Bar(5, 5, "cyan", copied=20, width=20)) == "█░░░················\n"
    # A trace is seen, and what is missing to the whole too.
    assert drawn(Bar(0.0001, 0.0001, "cyan", width=20)) == "█···················\n"
    assert drawn(Bar(99.9999, 99.9999, "cyan", width=20)) == "███████████████████·\n"


def test_the_log_tells_decisions_and_not_every_number() -> None:
    before, after = WORLDS["canary"](), WORLDS["canary"]()
    after["status"]["checks"][0]["trial"]["candidate"]["total"] += 1
    assert lines.log_key(before) == lines.log_key(after)
    after["status"]["checks"][0]["outcome"] = "Fail"
    assert lines.log_key(before) != lines.log_key(after)


any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.just("2026-11-22T15:00:00Z"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(["name", "at", "kind"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += _paths(inner, (*path, key))
    return found


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(WORLDS)), st.data())
def test_whatever_status_holds_it_can_be_drawn(world: str, data: st.DataObject) -> None:
    """Another operator's version, or a hand edit: anything may be missing or have another form."""
    model = WORLDS[world]()
    path = data.draw(st.sampled_from(_paths(model)))
    parent: Any = model
    for key in path[:-1]:
        parent = parent[key]
    if data.draw(st.booleans()):
        del parent[path[-1]]
    else:
        parent[path[-1]] = data.draw(any_json)
    drawn(view.live(model, NOW), data.draw(st.integers(20, 160)))
    drawn(view.why(model, NOW))
    drawn(view.history(model, NOW))
    lines.log_line(model, NOW)
    lines.log_key(model)
    lines.table([model], NOW, wide=True, namespaces=True, width=80)


@given(any_json)
def test_anything_is_read(value: Any) -> None:
    for raw in ({"status": value}, {"spec": value}, {"metadata": value}, {"status": {"rollout": value}}):
        drawn(view.live(raw, NOW))


def test_times_and_durations() -> None:
    assert parse_time("2026-11-22T15:00:00.250Z") == NOW + timedelta(milliseconds=250)
    assert parse_time("2026-11-22T16:00:00+01:00") == NOW
    assert parse_time("yesterday") is None
    assert parse_duration("1h30m") == timedelta(minutes=90)
    assert parse_duration("90") is None
    assert story.ago(NOW - timedelta(minutes=3), NOW) == "3m ago"
    # Clocks differ: what is said to be in the future is now.
    assert story.ago(NOW + timedelta(seconds=2), NOW) == "just now"
    assert NEW in story.headline(Reading(WORLDS["canary"]()))
