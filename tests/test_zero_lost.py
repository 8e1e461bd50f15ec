"""The table of lost requests says what the clients saw, and a loss makes the command fail."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import lost
from benchmarks.lost import OWN, SCENARIOS, Kind, Result
from dev.traffic.report import Loss, Report


def report(**lost_by: int) -> Report:
    """1,000 requests; so many 500s by revision."""
    wrong = sum(lost_by.values())
    losses = [Loss(0, "status", f"500 {OWN}", by, False, 0.1) for by, count in lost_by.items() for _ in range(count)]
    status = {"status": wrong} if wrong else {}
    return Report(1000, 1000 - wrong, status, 0, 0, {"max": 4.02}, {"a": 1000 - wrong}, lost_by, [], losses)


def result(*, loses: bool = False, error: str = "", bad: str = "", **lost_by: int) -> Result:
    kinds = {kind: Kind.of(report(**lost_by), bad) for kind in ("kept", "new", "slow", "stream")}
    return Result("abort", kinds, 60, "2026-11-22", "2 cores", loses, error)


def test_a_lost_request_fails_and_the_bad_models_own_answers_do_not() -> None:
    assert not result().failed
    assert result(b=1).failed
    assert not result(b=7, bad="b").failed
    assert result(b=7, c=1, bad="b").failed
    assert result(error="AssertionError: not within 45 s").failed


def test_an_answer_of_the_proxy_in_the_bad_models_name_is_a_loss() -> None:
    seen = report(b=1)
    by_proxy = replace(seen, losses=[replace(seen.losses[0], detail="503 upstream connect error")])
    assert Kind.of(by_proxy, "b").lost == 1


def test_a_control_that_loses_nothing_of_a_kind_fails() -> None:
    assert not result(loses=True, b=1).failed
    seen = result(loses=True, b=1)
    nothing = Kind.of(report(), "")
    assert replace(seen, kinds={**seen.kinds, "slow": nothing}).failed
    assert not replace(seen, kinds={**seen.kinds, "new": nothing}).failed, "quick ones count together"
    assert replace(seen, kinds={**seen.kinds, "kept": nothing, "new": nothing}).failed


def test_a_kind_that_was_never_sent_fails() -> None:
    seen = result()
    assert replace(seen, kinds={"kept": replace(seen.kinds["kept"], sent=0)}).failed


def test_a_revision_that_answered_nothing_of_a_kind_fails() -> None:
    """As an abort in the moment in which the candidate gets its weight: no stream was there to be cut."""
    reports = {"kept": report(), "stream": report()}
    assert lost.unmet(reports, {"a"}) == ""
    reports["kept"].revisions["b"] = 3  # type: ignore[index]
    said = lost.unmet(reports, {"a", "b"})
    assert said == "revision b answered nothing of the kind stream"
    assert result(error=said).failed


def test_a_row_names_losses_reasons_and_what_the_bad_model_answered() -> None:
    longest = "4.02 / 4.02 / 4.02 / 4.02"
    assert result().row() == f"| abort | {' | '.join(['0 of 1,000'] * 4)} | **0** | {longest} |  |"
    row = result(b=7, c=1, bad="b").row()
    assert row == f"| abort | {' | '.join(['1 of 1,000'] * 4)} | **4** (4 status) | {longest} | 28 |"


def test_the_page_is_written_when_every_scenario_has_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page, kept = tmp_path / "page.md", tmp_path / "kept"
    page.write_text(f"before\n{lost.BEGIN}old\n{lost.END}after\n")
    monkeypatch.setattr(lost, "PAGE", page)
    monkeypatch.setattr(lost, "KEPT", kept)
    for scenario in SCENARIOS[:-1]:
        lost.keep(scenario.name, result())
    lost.write(SCENARIOS)
    assert "old" in page.read_text(), "one is missing"
    lost.keep(SCENARIOS[-1].name, result(loses=True, b=3))
    lost.write(SCENARIOS)
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert text.count("| abort |") == len(SCENARIOS)
    assert text.count("2026-11-22, 2 cores.") == 1


def test_a_result_is_kept_whole() -> None:
    seen = result(b=2)
    assert Result.parse(json.loads(json.dumps(asdict(seen)))) == seen


def test_every_scenario_has_a_name_of_its_own() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert sum(scenario.loses for scenario in SCENARIOS) == 1
