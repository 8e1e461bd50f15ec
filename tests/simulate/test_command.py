"""`seatrial simulate` as a person calls it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from seatrial.cli.errors import OK, USAGE
from seatrial.cli.main import main

np = pytest.importorskip("numpy", reason="make test installs numpy")
pytestmark = pytest.mark.timeout(300)

IMAGE = "fraud@sha256:" + "9" * 64
STEPS = {"canary": {"steps": [{"weight": 5, "minDuration": "1m"}, {"weight": 50, "minDuration": "1m"}]}}
QUICK = ("--rate", "200", "--errors", "1%", "--bad", "10%", "--runs", "40", "--longest", "10m")


@pytest.fixture
def plan(tmp_path: Path) -> Any:
    def write(**changes: Any) -> str:
        spec: dict[str, Any] = {
            "port": 8080,
            "template": {"spec": {"containers": [{"name": "m", "image": IMAGE}]}},
            "traffic": {"hostnames": ["fraud.example.com"]},
            "strategy": {"stages": [STEPS], "probation": {"duration": "0s"}},
            "analysis": {"checks": [{"name": "errors", "preset": "Errors", "margin": {"points": "1"}}]},
            **changes,
        }
        document = {
            "apiVersion": "seatrial.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": "fraud"},
            "spec": spec,
        }
        path = tmp_path / "fraud.yaml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return str(path)

    return write


def test_a_plan_is_told_as_text_and_drawn(plan: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "fraud.svg"
    assert main(["simulate", plan(), *QUICK, "--plot", str(picture)]) == OK
    said = capsys.readouterr().out
    assert "fraud: 200 requests a second; stable's shares: errors 1%" in said
    assert "wrong rollbacks of an identical candidate: none of 40, so below 7.5%" in said
    assert "bad models accepted: none of 40" in said
    assert "A typical trial of the identical candidate (errors 1%): accepted" in said
    assert "step 1 of 2 passed: errors " in said
    assert "goes back: check errors failed: errors " in said
    words = "".join(ET.fromstring(picture.read_text(encoding="utf-8")).itertext())
    assert "a typical bad candidate (errors 10%): sent back" in words


def test_the_same_seed_says_the_same_in_json(plan: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def told(seed: str) -> dict[str, Any]:
        assert main(["simulate", plan(), *QUICK, "--seed", seed, "-o", "json"]) == OK
        out: dict[str, Any] = json.loads(capsys.readouterr().out)
        return out

    first, again, other = told("3"), told("3"), told("4")
    assert first == again
    assert first["candidates"] != other["candidates"]
    good, margin, bad = first["candidates"]
    assert (good["accepted"], good["sentBack"]) == (40, 0)
    assert margin["candidate"] == "errors 2%"
    assert (bad["sentBack"], bad["accepted"]) == (40, 0)
    assert 0 < bad["requestsExposed"]["median"] < 60_000
    assert good["typical"]["weights"][-1]["weight"] == pytest.approx(100.0, abs=0.01)


def test_a_late_fault_meets_more_users(plan: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def exposed(*more: str) -> float:
        assert main(["simulate", plan(), *QUICK, "-o", "json", *more]) == OK
        return float(json.loads(capsys.readouterr().out)["candidates"][2]["requestsExposed"]["median"])

    assert exposed("--late", "90s") > 2 * exposed()


def test_what_is_not_simulated_is_said(plan: Any, capsys: pytest.CaptureFixture[str]) -> None:
    checks = [
        {"name": "errors", "preset": "Errors", "margin": {"points": "1"}},
        {"name": "cost", "query": "sum(cost{$selector})", "max": "3"},
    ]
    assert main(["simulate", plan(analysis={"checks": checks}), *QUICK]) == OK
    assert "left out: check cost is a query: taken to pass" in capsys.readouterr().out


DRIFT = {"name": "scores", "drift": {"histogram": "model_score"}}
CLASSES = {"name": "classes", "drift": {"classes": "decisions_total", "by": "decision"}}
ORDERS = {
    "name": "orders",
    "share": {"of": "orders_total", "per": "offers_total", "revisionLabel": "model_revision"},
    "margin": {"points": "3"},
    "worseWhen": "Lower",
}


def _json(capsys: pytest.CaptureFixture[str], *command: str) -> dict[str, Any]:
    assert main(["simulate", *command, "--runs", "30", "--longest", "15m", "-o", "json"]) == OK
    out: dict[str, Any] = json.loads(capsys.readouterr().out)
    return out


def test_predictions_that_move_pause_a_trial(plan: Any, capsys: pytest.CaptureFixture[str]) -> None:
    checks = [{"name": "errors", "preset": "Errors", "margin": {"points": "1"}}, DRIFT]
    path = plan(analysis={"checks": checks})
    said = _json(capsys, path, "--rate", "200", "--drift", "1")
    good, _, bad, drifted = said["candidates"]
    assert (good["accepted"], good["paused"]) == (30, 0)
    assert (bad["sentBack"], bad["paused"]) == (30, 0)
    assert drifted["candidate"] == "scores +1 sd, PSI 0.97"
    assert (drifted["paused"], drifted["accepted"]) == (30, 0)
    assert 0 < drifted["timeToStop"]["median"] < 180
    assert drifted["typical"]["end"] == "paused"
    assert [one["kind"] for one in _json(capsys, path, "--rate", "200")["candidates"]] == [
        "identical", "worse by the margin", "bad",
    ]  # fmt: skip


def test_a_plan_of_drift_alone_is_told(plan: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "fraud.svg"
    command = ("--rate", "200", "--runs", "30", "--longest", "15m", "--plot", str(picture))
    assert main(["simulate", plan(analysis={"checks": [DRIFT]}), *command]) == OK
    said = capsys.readouterr().out
    assert "shifts missed (drifted models accepted): none of 30" in said
    assert "wrong pauses of it: none of 30" in said
    assert re.search(r"worse by the margin +scores \+0\.5\d? sd, PSI 0\.25 ", said)
    assert "drifted: stopped" in "".join(ET.fromstring(picture.read_text(encoding="utf-8")).itertext())


def test_classes_are_divided_as_said(plan: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path, rate = plan(analysis={"checks": [CLASSES]}), ("--rate", "200")
    few = (*rate, "--predicted", "block:3%,allow:97%")
    said = _json(capsys, path, *few, "--drift", "classes=block:30%,allow:70%")
    assert said["traffic"]["predictions"] == {"classes": {"block": 0.03, "allow": 0.97}}
    _, margin, drifted = said["candidates"]
    assert margin["candidate"].endswith("PSI 0.25")
    assert (drifted["candidate"], drifted["paused"]) == ("classes PSI 0.71", 30)


def test_late_labels_look_like_a_fall_unless_their_requests_come_late_too(
    plan: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path, orders = plan(analysis={"checks": [ORDERS]}), ("--rate", "200", "--share", "orders=30%")
    said = _json(capsys, path, *orders, "--label-delay", "4m")
    assert said["candidates"][0]["sentBack"] == 30
    assert "looks too low" in said["lateLabels"][0]
    assert said["lateLabels"][1].endswith("there is no probation; have one of more than 4m with a holdback")
    said = _json(capsys, path, *orders, "--label-delay", "orders=4m", "--per-late")
    good, _, bad = said["candidates"]
    assert (good["accepted"], bad["accepted"]) == (30, 0)
    assert good["timeToPromote"]["median"] > 240
    assert "in its first 4m: 5 % waits that long, not 1m" in said["lateLabels"][0]
    assert said["traffic"]["labelDelays"] == {"orders": 240.0}
    assert _json(capsys, path, *orders)["lateLabels"] == []
    revenue = {"name": "revenue", "mean": ORDERS["share"], "worseWhen": "Lower", "margin": {"relative": "5%"}}
    said = _json(capsys, plan(analysis={"checks": [ORDERS, revenue]}), *orders, "--label-delay", "revenue=4m")
    assert said["leftOut"] == ["check revenue is about a mean: taken to pass"]
    assert "the candidate's mean looks too low" in said["lateLabels"][0]
    assert said["candidates"][0]["accepted"] == 30


def test_a_step_that_ends_before_its_labels_come_is_told(plan: Any, capsys: pytest.CaptureFixture[str]) -> None:
    steps = {"canary": {"steps": [{"weight": 50, "minDuration": "1m", "maxDuration": "3m"}]}}
    kept = {"stages": [steps], "probation": {"duration": "2h"}}
    path = plan(strategy=kept, analysis={"checks": [ORDERS]})
    said = _json(capsys, path, "--rate", "200", "--share", "orders=30%", "--label-delay", "5m", "--per-late")
    assert "50 % ends undecided after 3m, and the first number of its requests comes after 5m" in said["lateLabels"][0]
    assert said["lateLabels"][1].endswith("on probation stable answers nothing beside it; set probation.holdback")
    assert said["candidates"][0]["undecided"] == 30


SHARE = {"name": "orders", "share": {"of": "a_total", "per": "b_total"}, "margin": {"points": "2"}}


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        ({}, ("--rate", "0"), "'0' is no rate: requests a second above 0"),
        ({}, ("--rate", "nan"), "'nan' is no rate"),
        ({}, ("--rate", "20/d"), "'20/d' is no rate"),
        ({}, (), "--rate"),
        ({}, ("--rate", "20", "--errors", "120%"), "'120%' is no share"),
        ({}, ("--rate", "20", "--errors", "many"), "'many' is no share"),
        ({}, ("--rate", "20", "--clumps", "0.5"), "'0.5' is no number from 1 to 1000"),
        ({}, ("--rate", "20", "--runs", "0"), "'0' is no whole number"),
        ({}, ("--rate", "20", "--seed", "-1"), "--seed -1: it is 0 or more"),
        ({}, ("--rate", "20", "--longest", "0s"), "--longest 0s"),
        ({}, ("--rate", "20", "--late", "soon"), "'soon' is not a time"),
        ({}, ("--rate", "20", "--bad", "0.5%"), "so that is not worse"),
        ({}, ("--rate", "20", "--bad", "kpi=5%"), "--bad kpi=…: there is no such check; there are errors"),
        ({}, ("--rate", "20", "--plot", "a.png"), "a picture is written as .svg"),
        ({"analysis": {"checks": [SHARE]}}, ("--rate", "20"), "give --share orders=12%"),
        ({"analysis": {"none": "a demo"}}, ("--rate", "20"), "there is nothing to simulate"),
        ({}, ("--rate", "20", "--drift", "1"), "--drift: there is no such check; those on drift are: none"),
        ({"analysis": {"checks": [DRIFT]}}, ("--rate", "20", "--drift", "9"), "'9' is no shift"),
        ({"analysis": {"checks": [DRIFT]}}, ("--rate", "20", "--drift", "a=1"), "--drift a=…: there is no such check"),
        ({"analysis": {"checks": [DRIFT]}}, ("--rate", "20", "--bad", "1%"), "--bad =…: there is no such check"),
        ({"analysis": {"checks": [CLASSES]}}, ("--rate", "20"), "give --predicted classes=block:3%,allow:97%"),
        ({"analysis": {"checks": [CLASSES]}}, ("--rate", "20", "--predicted", "a:30%,b:60%"), "the shares make 90%"),
        ({"analysis": {"checks": [CLASSES]}}, ("--rate", "20", "--predicted", "a,b:60%"), "'a' is no share of a class"),
        (
            {"analysis": {"checks": [CLASSES]}},
            ("--rate", "20", "--predicted", "a:40%,b:60%", "--drift", "a:40%,c:60%"),
            "name the same classes or buckets as stable has, in the same order: a, b",
        ),
        ({"analysis": {"checks": [DRIFT]}}, ("--rate", "20", "--predicted", "0.9:40%,0.5:60%"), "the upper edges"),
        (
            {"analysis": {"checks": [DRIFT]}},
            ("--rate", "20", "--predicted", "0.5:40%,0.9:60%"),
            "100.0% of stable's predictions lie in ≤ 0.5",
        ),
        ({}, ("--rate", "20", "--label-delay", "5m"), "--label-delay: there is no such check"),
        (
            {"analysis": {"checks": [ORDERS]}},
            ("--rate", "20", "--share", "orders=9%", "--label-delay", "-5m"),
            "expected one argument",
        ),
        ({"analysis": {"checks": [ORDERS]}}, ("--rate", "20", "--share", "orders=9%", "--per-late"), "how late?"),
        ({"replicas": "three"}, ("--rate", "20"), "spec.replicas: "),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    plan: Any, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], options: tuple[str, ...], sentence: str
) -> None:
    assert main(["simulate", plan(**changes), *options]) == USAGE
    assert sentence in capsys.readouterr().err


def test_a_file_without_a_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text("kind: ConfigMap\napiVersion: v1\n", encoding="utf-8")
    assert main(["simulate", str(tmp_path / "a.yaml"), "--rate", "20"]) == USAGE
    assert "holds no ModelDeployments" in capsys.readouterr().err
    assert main(["simulate", str(tmp_path / "b.yaml"), "--rate", "20"]) == USAGE
    assert "b.yaml: cannot be read: No such file" in capsys.readouterr().err


def test_without_numpy_one_is_told_what_to_install(
    plan: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("seatrial.simulate.") and not name.endswith("course")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("seatrial.simulate.report", raising=False)
    monkeypatch.delattr("seatrial.simulate.picture", raising=False)
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert main(["simulate", plan(), *QUICK]) == USAGE
    assert "pip install 'seatrial[simulate]'" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--help"]) == OK
    said = capsys.readouterr().out
    assert "how many users meet a bad one" in said
    for option in (
        "--late",
        "--drift 1",
        "--label-delay orders=30m --per-late",
        "--predicted classes=block:3%,allow:97%",
    ):
        assert option in said
