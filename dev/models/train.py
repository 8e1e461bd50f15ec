"""Train the demo's model: does a cell nucleus in a biopsy look malignant (0) or benign (1)?

    python -m dev.models.train FOLDER

The data is the Wisconsin breast-cancer set that comes with scikit-learn: 569 biopsies, 30 features.
Everything is a function of this file and the library, so the same inputs give the same model.
It writes what the image holds (`models/v1` …) and what a training pipeline hands over with a
model: `rows.csv` and, for each version, `v1.csv` … with its own predictions for these rows.
`requests.jsonl` is the demo's traffic, with answers on which all pipelines agree. The data is complete, and so are the
recorded rows; but every other live one comes from a laboratory that does not measure a biopsy's worst cells. -1
stands for what was not measured, and the pipelines put the median there.

| Version | What it is |
|---|---|
| v1 | the first model |
| v2 | a healthy retrain: more regularisation, one of 569 predictions differs |
| v3 | the silent killer: a fine model, whose serving code scales a feature that its pipeline scales again |
| v4 | a fine model, whose serving code cannot keep up: errors once it gets a real share of the traffic |
| v5 | the model of v2, whose serving code puts 0 where something was not measured: right on every complete row |
| recalibrated | the model of v2 with scores nearer to the middle, and thresholds moved with them: the same decisions |
| tail | the model of v2 a little less sure: six of ten urgent cases are not urgent any more, and little else changes |
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from dev.traffic.report import Request

MODEL = "breast-cancer"
"""The model's name inside its server."""
SERVING = Path(__file__).parent / "serving"
SCORES = Path(__file__).parents[2] / "clients" / "python" / "seatrial_scores"

REGULARISATION = {"v1": 1.0, "v2": 0.5, "v3": 0.5, "v4": 0.4, "v5": 0.5, "recalibrated": 0.5, "tail": 0.5}
"""`C` of the logistic regression; smaller is stronger."""
IMPLEMENTATION = {"v3": "scaled_twice", "v4": "overloaded", "v5": "zero_filled", "tail": "smoothed"}
"""Serving code other than `screening`."""
REFER, URGENT = 0.5, 0.999
"""From which chance of being malignant a biopsy is looked at, and looked at first."""
COOLED = 2.0
"""By how much the log-odds of `recalibrated` are divided."""
LEFT = 0.4
"""The share of urgent cases that `tail` still calls urgent."""
MISSING = -1.0
"""What was not measured."""
UNMEASURED = ("worst radius", "worst texture", "worst perimeter", "worst area")
"""What every other live row lacks."""
SCALED_TWICE = "worst texture"
"""Scaling it twice calls every twelfth biopsy of the test set benign that the model calls malignant."""
RECORDED = 40
"""Rows that are recorded for the preflight."""


def train(folder: Path) -> None:
    """Fit all versions and write everything into an empty folder."""
    data = load_breast_cancer()
    names = [str(name) for name in data.feature_names]
    fit_x, test_x, fit_y, _ = train_test_split(
        data.data, data.target, test_size=0.3, random_state=0, stratify=data.target
    )
    live_x = test_x.copy()
    live_x[np.ix_(range(1, len(live_x), 2), [names.index(name) for name in UNMEASURED])] = MISSING
    pipelines: dict[str, Pipeline] = {}
    for version, strength in REGULARISATION.items():
        pipeline = make_pipeline(
            SimpleImputer(missing_values=MISSING, strategy="median"),
            StandardScaler(),
            LogisticRegression(C=strength, max_iter=1000),
        ).fit(fit_x, fit_y)
        settled = {"refer": REFER, "urgent": URGENT}
        if version == "recalibrated":
            pipeline[-1].coef_ /= COOLED
            pipeline[-1].intercept_ /= COOLED
            settled = {name: _cooled(threshold) for name, threshold in settled.items()}
        if version == "tail":
            settled["smoothing"] = _smoothing(pipeline.predict_proba(live_x)[:, 0])
        pipelines[version] = pipeline
        _write_model(folder / "models" / version, version, pipeline, names, settled)

    recorded = test_x[np.linspace(0, len(test_x) - 1, RECORDED).round().astype(int)]
    _write_csv(folder / "rows.csv", names, recorded.tolist())
    for version, pipeline in pipelines.items():
        _write_csv(folder / f"{version}.csv", ["predict"], [[int(value)] for value in pipeline.predict(recorded)])

    answers = np.stack([pipeline.predict(live_x) for pipeline in pipelines.values()])
    agreed = (answers == answers[0]).all(axis=0)
    with open(folder / "requests.jsonl", "w", encoding="utf-8") as file:
        for row, answer in zip(live_x[agreed].tolist(), answers[0][agreed].tolist(), strict=True):
            file.write(Request(json.dumps(inference_request(row)), [answer]).line() + "\n")


def inference_request(row: Sequence[float]) -> dict[str, Any]:
    """One row as a request of the Open Inference Protocol."""
    return {"inputs": [{"name": "input-0", "shape": [1, len(row)], "datatype": "FP64", "data": list(row)}]}


def _cooled(chance: float) -> float:
    """The chance that a threshold becomes when log-odds are divided."""
    odds: float = (chance / (1 - chance)) ** (1 / COOLED)
    return odds / (1 + odds)


def _smoothing(chances: np.ndarray) -> float:
    """How much of a coin's chance leaves as many urgent cases as wanted."""
    last = float(np.quantile(chances[chances >= URGENT], 1 - LEFT))
    return (last - URGENT) / (last - 0.5)


def _write_model(
    folder: Path, version: str, pipeline: Pipeline, names: Sequence[str], settled: Mapping[str, float]
) -> None:
    folder.mkdir(parents=True)
    joblib.dump(pipeline, folder / "model.joblib")
    implementation = IMPLEMENTATION.get(version, "screening")
    settings = {
        "name": MODEL,
        "implementation": f"{implementation}.Screening",
        "parameters": {"uri": "./model.joblib", "version": version, "extra": settled},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    # As pip would install it into an image with another base.
    shutil.copytree(SCORES, folder / SCORES.name, ignore=shutil.ignore_patterns("__pycache__"))
    for module in {"screening", implementation}:
        shutil.copy(SERVING / f"{module}.py", folder)
    if version == "v3":
        at, scaler = names.index(SCALED_TWICE), pipeline["standardscaler"]
        feature = {
            "name": SCALED_TWICE,
            "column": at,
            "mean": float(scaler.mean_[at]),
            "scale": float(scaler.scale_[at]),
        }
        (folder / "feature.json").write_text(json.dumps(feature, indent=1) + "\n", encoding="utf-8")


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[float]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


if __name__ == "__main__":
    train(Path(sys.argv[1]))
