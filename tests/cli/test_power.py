"""`seatrial lint` with numbers of traffic: how long each step takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from seatrial.cli.errors import OK, USAGE
from seatrial.cli.main import main
from tests.api.cases import resource

ERRORS = {"checks": [{"name": "errors", "preset": "Errors"}]}


def lint(tmp_path: Path, *options: str, **changes: Any) -> int:
    image = {"spec": {"containers": [{"name": "m", "image": "iris@sha256:" + "9" * 64}]}}
    path = tmp_path / "iris.yaml"
    path.write_text(yaml.safe_dump(resource(template=image, **changes)), encoding="utf-8")
    return main(["lint", str(path), *options])


def test_each_step_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint(tmp_path, "--rate", "200", "--errors", "1%", analysis=ERRORS) == OK
    said = capsys.readouterr().out
    assert (
        "check errors, 5 %: 3,000 requests in its minDuration; a candidate as good as stable passes in about " in said
    )
    assert "check errors, 50 %: 30,000 requests" in said
    assert "a rise from 1% to 5% is found in about " in said
    assert said.endswith("1 ModelDeployment checked: 0 errors, 0 warnings\n")


def test_a_plan_that_cannot_decide_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint(tmp_path, "--rate", "2/m", "--errors", "1%", analysis=ERRORS) == OK
    said = capsys.readouterr().out
    assert (
        "warning: spec.analysis.checks[0]: check errors: at 2 requests a minute, 1% of them bad, 5 % takes about "
        in said
    )
    assert "a rise from 1% to 5% would take 4d to find there" in said


def test_the_check_is_found_where_it_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Checks that no traffic is reckoned for count as well."""
    queue = {"name": "queue", "query": 'sum(queue_depth{namespace="$namespace"})', "max": "10"}
    assert lint(tmp_path, "--rate", "2/m", "--errors", "1%", analysis={"checks": [queue, *ERRORS["checks"]]}) == OK
    assert "warning: spec.analysis.checks[1]: check errors: " in capsys.readouterr().out


def test_what_is_not_known_is_not_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint(tmp_path, analysis=ERRORS) == OK
    assert "requests" not in capsys.readouterr().out
    assert lint(tmp_path, "--rate", "20", analysis=ERRORS) == OK
    assert "requests" not in capsys.readouterr().out
    assert lint(tmp_path, "--errors", "1%") == USAGE
    assert "give --rate too" in capsys.readouterr().err
