"""The benchmark of verdicts can fail, and its yardsticks measure."""

from __future__ import annotations

import pytest

from benchmarks.verdicts import page
from benchmarks.verdicts.rates import Rate, percent

# --- rates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hits", "of"), [(0, 300), (1, 300), (7, 1200), (40, 60), (5, 5)])
def test_the_bound_is_that_of_clopper_and_pearson(hits: int, of: int) -> None:
    beta = pytest.importorskip("scipy.stats", reason="make test installs scipy").beta
    bound = 1.0 if hits == of else beta.ppf(0.95, hits + 1, of - hits)
    assert Rate(hits, of).most == pytest.approx(bound, rel=1e-6)


def test_a_bound_on_nothing_is_no_bound() -> None:
    assert (Rate(0, 0).share, Rate(0, 0).most) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("share", "told"), [(0, "0"), (0.00123, "0.12 %"), (0.0123, "1.2 %"), (0.123, "12 %"), (1, "100 %")]
)
def test_shares_are_told_as_precisely_as_matters(share: float, told: str) -> None:
    assert percent(share) == told


# --- judges that a benchmark has to turn down -------------------------------------------------------------------------


def test_a_judge_that_decides_nothing_or_everything_misses_the_targets() -> None:
    pytest.importorskip("numpy", reason="make test installs numpy")
    from benchmarks.verdicts import targets, trials
    from benchmarks.verdicts.traffic import Cell
    from benchmarks.verdicts.trials import Ruling

    cell = Cell(200.0, 0.003, 1.0)
    said = {ruling: targets.of_steps(trials.measure(cell, 20, ruling)) for ruling in Ruling}
    assert said == {
        Ruling.JUDGES: [],
        Ruling.HOLDS: ["accepts 0 of good candidates within 30 min, and gave no warning"],
        Ruling.PASSES: ["accepts 100 % (20 of 20, below 100 %) of candidates twice the margin worse"],
        Ruling.FAILS: [
            "sends back 100 % (20 of 20, below 100 %) of good candidates",
            "accepts 0 of good candidates within 30 min, and gave no warning",
        ],
    }


def test_a_missed_target_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numpy", reason="make test installs numpy")
    from benchmarks.verdicts import __main__ as program
    from benchmarks.verdicts import targets, trials
    from benchmarks.verdicts.traffic import Cell

    cell = Cell(200.0, 0.003, 1.0)
    for ruling, code in ((trials.Ruling.JUDGES, 0), (trials.Ruling.HOLDS, 1)):
        row = trials.measure(cell, 20, ruling)
        missed = targets.of_steps(row)
        results = {name: [row] if name == "trials" else [] for name in program.EXPERIMENTS}
        monkeypatch.setattr(program, "run", lambda _, results=results, missed=missed: (results, missed))
        monkeypatch.setattr(page, "tables", lambda _: "")
        monkeypatch.setattr("sys.argv", ["verdicts"])
        assert program.main() == code
        last = capsys.readouterr().out.splitlines()[-1]
        assert last.endswith(f"; {code} targets missed")
        assert "worst of wrong rollbacks 0 (0 of " in last


def test_every_target_can_be_missed() -> None:
    pytest.importorskip("numpy", reason="make test installs numpy")
    from benchmarks.verdicts import targets
    from benchmarks.verdicts.hour import Hour
    from benchmarks.verdicts.late import Late
    from benchmarks.verdicts.replays import Replay
    from benchmarks.verdicts.scores import Scores
    from benchmarks.verdicts.traffic import Cell

    cell, none, all_ = Cell(20.0, 0.01, 1.0, 5.0), Rate(0, 300), Rate(300, 300)
    found: dict[str, float | None] = {"sketch": 6.0, "restarted": None}
    wrong = {"sketch": Rate(9, 300), "restarted": none}
    fine = Hour(cell, none, none, wrong, all_, 6.25, found)
    assert targets.of_hour(fine) == []
    assert targets.loss(fine) is None
    assert targets.of_hour(Hour(cell, none, Rate(4, 300), {}, all_, 6.0, {})) != []
    slow = targets.loss(Hour(cell, none, none, wrong, all_, 6.5, found))
    assert slow is not None and (slow.minutes, slow.others, slow.wrong) == (6.5, found, wrong)

    def late(*minutes: float | None) -> list[str]:
        return targets.of_late(Late(cell, 0.05, (none,) * 3, minutes, (None,) * 3, (None,) * 3))

    assert late(4.0, 6.0, 6.25) == []
    assert late(4.0, 6.0, 6.5) == ["takes 6.5 min after 120 healthy minutes, 4 without"]
    assert late(4.0, None, 6.0) == ["takes for ever after 30 healthy minutes, 4 without"]
    assert late(None, 6.0, 6.0) == ["finds fewer than half of the faults"]

    drifted, kept = {"same": none, "skew": all_}, {"same": all_, "skew": none}
    assert targets.of_scores(Scores(20, {}, drifted, {}, {})) == []
    assert len(targets.of_scores(Scores(20, {}, kept, {}, {}))) == 2
    assert len(targets.of_scores(Scores(2, {}, kept, {}, {}))) == 1, "too few scores to see anything by"

    assert targets.of_replay(Replay("fine", none, none, all_, none, all_)) == []
    assert len(targets.of_replay(Replay("fine", all_, none, none, all_, none))) == 4
    assert targets.of_replay(Replay("ceiling", all_, none, none, none, all_)) == [], "what a ceiling is for"


@pytest.mark.parametrize(
    ("rate", "base", "clump", "slow"),
    [(200.0, 0.003, 10.0, True), (100.0, 0.1, 1.0, True), (50.0, 0.003, 1.0, False), (500.0, 0.01, 10.0, False)],
)
def test_whoever_has_to_wait_was_told(rate: float, base: float, clump: float, slow: bool) -> None:
    """Where fewer than 95 % of good candidates are through in twice the least time, nobody goes without a warning."""
    np = pytest.importorskip("numpy", reason="make test installs numpy")
    from benchmarks.verdicts import trials
    from benchmarks.verdicts.traffic import Cell

    found = trials.sail(Cell(rate, base, clump), base, 200, 1)
    in_time = int(np.count_nonzero(found.accepted <= trials.IN_TIME)) / 200
    assert (in_time < 0.95) is slow
    assert np.all(found.warned) if slow else np.mean(found.warned) < 0.2


def test_clumps_that_nobody_could_see_accept_no_more_bad_candidates_than_is_promised() -> None:
    """A stable that hardly fails teaches nothing about the clumps of a candidate that is twice the margin worse."""
    np = pytest.importorskip("numpy", reason="make test installs numpy")
    from benchmarks.verdicts import trials
    from benchmarks.verdicts.traffic import TERMS, Cell

    cell = Cell(20.0, 0.0001, 10.0)
    found = trials.sail(cell, cell.base + 2 * TERMS.margin(cell.base), 1500, 101)
    assert np.count_nonzero(~np.isnan(found.accepted)) <= 15


# --- yardsticks -------------------------------------------------------------------------------------------------------


def test_todays_judges_do_what_their_examples_say() -> None:
    np = pytest.importorskip("numpy", reason="make test installs numpy")
    from benchmarks.verdicts import today
    from benchmarks.verdicts.traffic import LOOKS, Cell

    cell = Cell(40.0, 0.01, 1.0, 50.0)
    n = np.full((LOOKS, 2), 300.0)
    fine = np.full((LOOKS, 2), 3.0)
    bad = fine.copy()
    bad[:, 1] = 9.0
    bad[4:8, 1] = 3.0  # one good minute, which is forgotten by neither
    at = today.verdicts((bad, n, fine, n), cell)
    assert {name: list(minutes) for name, minutes in at.items() if name in {"argo", "flagger"}} == {
        "argo": [pytest.approx(np.nan, nan_ok=True), 5.0],
        "flagger": [pytest.approx(np.nan, nan_ok=True), 6.0],
    }
    assert np.isnan(at["z"][0]) and at["z"][1] == 1.0
    assert np.isnan(at["ranks"][0]) and at["ranks"][1] == 10.0


def test_the_sketch_finds_a_fault_and_is_not_moved_by_what_both_models_suffer() -> None:
    np = pytest.importorskip("numpy", reason="make test installs numpy")
    pytest.importorskip("scipy", reason="make test installs scipy")
    from benchmarks.verdicts.sketch import Sketch

    for restarts in (False, True):
        sketch = Sketch(2, 0.005, 0.05, 240, restarts)
        looks = [sketch.look(np.array([6.0, 0.75]), np.full(2, 14.25), np.full(2, 285.0)) for _ in range(40)]
        nats = looks[-1]
        assert nats[0] > 4.6 > nats[1]


def test_psi_is_that_of_the_books() -> None:
    """Two bins, 50:50 against 60:40: 0.1 ln 1.2 - 0.1 ln 0.8."""
    np = pytest.importorskip("numpy", reason="make test installs numpy")
    from benchmarks.verdicts.scores import psi

    assert psi(np.array([60, 40]), np.array([500, 500])) == pytest.approx(0.0405, abs=1e-4)
    assert psi(np.array([0, 0]), np.array([500, 500])) == 0.0


def test_the_products_own_check_on_drift_is_asked() -> None:
    pytest.importorskip("numpy", reason="make test installs numpy")
    from benchmarks.verdicts import scores

    found = scores.measure(60, 5)
    assert (found.failed["same"], found.failed["skew"]) == (Rate(0, 5), Rate(5, 5))
    assert found.passed["same"] == Rate(5, 5)
    assert found.minutes["skew"] is not None
    assert found.minutes["skew"] <= 5.0


@pytest.mark.parametrize(("share", "outcome"), [(0.01, "Pass"), (0.06, "Fail")])
def test_raw_counters_go_through_the_products_own_judge(share: float, outcome: str) -> None:
    pytest.importorskip("numpy", reason="make test installs numpy")
    from benchmarks.verdicts import replays

    end = replays.sail(replays.WORLDS["rough"], 0.01, share, 3)
    assert end.outcome == outcome
    assert end.warning == ""
