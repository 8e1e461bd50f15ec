"""Preflight with the rows that the demo's training pipeline hands over."""

from __future__ import annotations

import csv

from dev.models import images
from seatrial.core import golden
from tests.cluster.model import Model


def recording(model: Model, version: str) -> None:
    """The ConfigMap that `seatrial golden record` makes of the training pipeline's files."""
    rows = [{name: float(value) for name, value in row.items()} for row in table("rows")]
    answers = [{"predict": [int(row["predict"])]} for row in table(f"v{version}")]
    made = golden.build(f"golden-{version}", model.namespace, model.model, version, rows, answers)
    model.api.create(made)


def table(name: str) -> list[dict[str, str]]:
    """A file of the training pipeline."""
    return list(csv.DictReader((images.trained() / f"{name}.csv").read_text().splitlines()))


def preflight(version: str) -> dict[str, object]:
    """The part of a spec that asks for it."""
    return {"preflight": {"requests": {"configMapRef": {"name": f"golden-{version}"}}}}
