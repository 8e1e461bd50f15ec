"""Train the demo's model: does a cell nucleus in a biopsy look malignant (0) or benign (1)?

    python -m dev.models.train FOLDER

The data is the Wisconsin breast-cancer set that comes with scikit-learn: 569 biopsies, 30 features.
Everything is a function of this file and the library, so the same inputs give the same model.
It writes what the image holds (`models/v1` … `v4`) and what a training pipeline hands over with a
model: `rows.csv` and, for each version, `v1.csv` … with its own predictions for these rows.
`requests.jsonl` is the demo's traffic, with answers on which all versions agree.

| Version | What it is |
|---|---|
| v1 | the first model |
| v2 | a healthy retrain: more regularisation, one of 569 predictions differs |
| v3 | the silent killer: a fine model, whose serving code scales a feature that its pipeline scales again |
| v4 | a fine model, whose serving code cannot keep up: errors once it gets a real share of the traffic |
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from dev.traffic.report import Request

MODEL = "breast-cancer"
"""The model's name inside its server."""
SERVING = Path(__file__).parent / "serving"

REGULARISATION = {"v1": 1.0, "v2": 0.5, "v3": 0.5, "v4": 0.4}
"""`C` of the logistic regression; smaller is stronger."""
IMPLEMENTATION = {
    "v1": "mlserver_sklearn.SKLearnModel",
    "v2": "mlserver_sklearn.SKLearnModel",
    "v3": "scaled_twice.Screening",
    "v4": "overloaded.Screening",
}
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
    pipelines: dict[str, Pipeline] = {}
    for version, strength in REGULARISATION.items():
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(fit_x, fit_y)
        pipelines[version] = pipeline
        _write_model(folder / "models" / version, version, pipeline, names)

    recorded = test_x[np.linspace(0, len(test_x) - 1, RECORDED).round().astype(int)]
    _write_csv(folder / "rows.csv", names, recorded.tolist())
    for version, pipeline in pipelines.items():
        _write_csv(folder / f"{version}.csv", ["predict"], [[int(value)] for value in pipeline.predict(recorded)])

    answers = np.stack([pipeline.predict(test_x) for pipeline in pipelines.values()])
    agreed = (answers == answers[0]).all(axis=0)
    with open(folder / "requests.jsonl", "w", encoding="utf-8") as file:
        for row, answer in zip(test_x[agreed].tolist(), answers[0][agreed].tolist(), strict=True):
            file.write(Request(json.dumps(inference_request(row)), [answer]).line() + "\n")


def inference_request(row: Sequence[float]) -> dict[str, Any]:
    """One row as a request of the Open Inference Protocol."""
    return {"inputs": [{"name": "input-0", "shape": [1, len(row)], "datatype": "FP64", "data": list(row)}]}


def _write_model(folder: Path, version: str, pipeline: Pipeline, names: Sequence[str]) -> None:
    folder.mkdir(parents=True)
    joblib.dump(pipeline, folder / "model.joblib")
    implementation = IMPLEMENTATION[version]
    settings = {
        "name": MODEL,
        "implementation": implementation,
        "parameters": {"uri": "./model.joblib", "version": version},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    own = SERVING / f"{implementation.split('.')[0]}.py"
    if own.exists():
        shutil.copy(own, folder)
    if version == "v3":
        at, scaler = names.index(SCALED_TWICE), pipeline[0]
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
