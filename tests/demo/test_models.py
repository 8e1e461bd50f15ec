"""The demo's models are what their stories say: where they are wrong, where they only differ, and what no recording shows.

The serving code runs here on a stand-in for MLServer's runtime; in the cluster tests it runs on the real one.
"""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="the demo's packages are not installed; make test has them")
joblib = pytest.importorskip("joblib", reason="the demo's packages are not installed; make test has them")

pytestmark = pytest.mark.timeout(300)
"""The first of them trains seven models."""


class Runtime:
    """What the serving code uses of `mlserver_sklearn.SKLearnModel`."""

    def __init__(self, folder: Path) -> None:
        settings = json.loads((folder / "model-settings.json").read_text())
        self.settings = SimpleNamespace(parameters=SimpleNamespace(**settings["parameters"]))
        self.folder = folder

    async def load(self) -> bool:
        self._model = joblib.load(self.folder / "model.joblib")
        return True


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from dev.models.train import train

    folder = tmp_path_factory.mktemp("trained")
    train(folder)
    return folder


@pytest.fixture(scope="module")
def serving(trained: Path) -> Iterator[dict[str, Any]]:
    """Every version, loaded."""
    names = ("mlserver", "mlserver.codecs", "mlserver.types", "mlserver_sklearn")
    stubs = {name: ModuleType(name) for name in names}
    for name in ("NumpyCodec", "NumpyRequestCodec"):
        setattr(stubs["mlserver.codecs"], name, None)
    for name in ("InferenceRequest", "InferenceResponse", "RequestOutput"):
        setattr(stubs["mlserver.types"], name, None)
    stubs["mlserver.errors"] = ModuleType("mlserver.errors")
    stubs["mlserver.errors"].MLServerError = RuntimeError  # type: ignore[attr-defined] # a stub
    stubs["mlserver_sklearn"].SKLearnModel = Runtime  # type: ignore[attr-defined] # a stub
    loaded = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, stub in stubs.items():
            patch.setitem(sys.modules, name, stub)
        for folder in sorted((trained / "models").iterdir()):
            implementation = json.loads((folder / "model-settings.json").read_text())["implementation"]
            patch.syspath_prepend(folder)
            for name in ("screening", module := implementation.split(".")[0]):
                patch.delitem(sys.modules, name, raising=False)
            model = __import__(module).Screening(folder)
            asyncio.run(model.load())
            loaded[folder.name] = model
        yield loaded
        for name in ("screening", "scaled_twice", "overloaded", "zero_filled", "smoothed"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def live(trained: Path) -> tuple[Any, Any]:
    """The demo's rows, and the right answers."""
    requests = [json.loads(line) for line in (trained / "requests.jsonl").read_text().splitlines()]
    return np.array([r["body"]["inputs"][0]["data"] for r in requests]), np.array([r["data"][0] for r in requests])


def answers(model: Any, rows: Any) -> Any:
    return np.where(model.chances(rows) >= model._settled["refer"], 0, 1)


def decisions(model: Any, rows: Any) -> Counter[str]:
    return Counter(model.decide(chance) for chance in model.chances(rows))


def recorded(trained: Path, file: str) -> Any:
    with open(trained / file, newline="") as opened:
        return np.array(list(csv.reader(opened))[1:], dtype=float)


@pytest.mark.parametrize("version", ["v1", "v2", "v4", "recalibrated", "tail"])
def test_the_right_ones_answer_live_rows_as_in_training(serving: dict[str, Any], live: Any, version: str) -> None:
    assert (answers(serving[version], live[0]) == live[1]).all()


@pytest.mark.parametrize("version", ["v1", "v2", "v4", "v5", "recalibrated", "tail"])
def test_no_recorded_row_tells_them_from_their_training(trained: Path, serving: dict[str, Any], version: str) -> None:
    rows, expected = recorded(trained, "rows.csv"), recorded(trained, f"{version}.csv")[:, 0]
    assert (answers(serving[version], rows) == expected).all()


def test_a_recorded_row_tells_v3(trained: Path, serving: dict[str, Any]) -> None:
    rows, expected = recorded(trained, "rows.csv"), recorded(trained, "v3.csv")[:, 0]
    assert (answers(serving["v3"], rows) != expected).any()


def test_v5_is_wrong_only_where_something_was_not_measured(serving: dict[str, Any], live: Any) -> None:
    wrong = answers(serving["v5"], live[0]) != live[1]
    gaps = (live[0] == -1).any(axis=1)
    assert 0.45 < gaps.mean() < 0.55
    assert not wrong[~gaps].any()
    assert 0.14 < wrong.mean() < 0.16, "one in seven"
    assert (live[1][wrong] == 0).all(), "and always by calling a malignant one harmless"


def test_a_recalibration_decides_the_same_on_other_scores(serving: dict[str, Any], live: Any) -> None:
    before, after = serving["v2"], serving["recalibrated"]
    assert decisions(after, live[0]) == decisions(before, live[0])
    assert np.abs(after.chances(live[0]) - before.chances(live[0])).mean() > 0.04


def test_the_tail_loses_six_of_ten_and_the_mean_does_not_move(serving: dict[str, Any], live: Any) -> None:
    before, after = serving["v2"], serving["tail"]
    fall = 1 - decisions(after, live[0])["urgent"] / decisions(before, live[0])["urgent"]
    assert 0.55 < fall < 0.65
    assert abs(after.chances(live[0]).mean() - before.chances(live[0]).mean()) < 0.001
