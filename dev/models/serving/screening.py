"""The demo's model server: answers with a class, and counts how sure it was and what follows from it.

A biopsy is `clear`, is to be looked at (`refer`), or at once (`urgent`), by thresholds on the chance that it is malignant.
They come with the model, in its `model-settings.json`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mlserver.codecs import NumpyCodec, NumpyRequestCodec
from mlserver.types import InferenceRequest, InferenceResponse, RequestOutput
from mlserver_sklearn import SKLearnModel

from seatrial_scores import Scores


class Screening(SKLearnModel):  # type: ignore[misc]
    """MLServer's scikit-learn runtime with scores and decisions in its metrics."""

    _model: Any

    async def load(self) -> bool:
        """Load the pipeline, and begin to count."""
        await super().load()
        self._settled: dict[str, float] = self.settings.parameters.extra
        self._scores = Scores(decisions=("clear", "refer", "urgent"))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer, and count what is answered."""
        chances = self.chances(self.decode_request(payload, default_codec=NumpyRequestCodec))
        for chance in chances:
            self._scores.observe(chance, decision=self.decide(chance))
        answer = np.where(chances >= self._settled["refer"], 0, 1)
        output = self.encode(answer, RequestOutput(name="predict"), default_codec=NumpyCodec)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])

    def chances(self, rows: np.ndarray) -> np.ndarray:
        """How likely each row is malignant, from 0 to 1."""
        found: np.ndarray = self._model.predict_proba(rows)[:, 0]
        return found

    def decide(self, chance: float) -> str:
        """What follows from one chance."""
        if chance >= self._settled["urgent"]:
            return "urgent"
        return "refer" if chance >= self._settled["refer"] else "clear"
