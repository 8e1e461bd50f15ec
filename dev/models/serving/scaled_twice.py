"""The silent killer: a feature arrives scaled, and the model's own pipeline scales it again.

The serving code was written for a model without a scaler. Every answer is a 200 at normal speed, and most are
right; but one biopsy in twelve is called benign that the training pipeline calls malignant.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from screening import Screening as Right
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer


class Screening(Right):  # type: ignore[misc]
    """The demo's model server behind a step that prepares the features."""

    _model: Any

    async def load(self) -> bool:
        """Load the pipeline, and put the preparation before it."""
        await super().load()
        feature = json.loads((Path(__file__).parent / "feature.json").read_text(encoding="utf-8"))

        def prepare(rows: np.ndarray) -> np.ndarray:
            """Scale one feature. The mistake: the pipeline does so too."""
            prepared = np.array(rows, dtype=float)
            prepared[:, feature["column"]] = (prepared[:, feature["column"]] - feature["mean"]) / feature["scale"]
            return prepared

        self._model = make_pipeline(FunctionTransformer(prepare), self._model)
        return True
