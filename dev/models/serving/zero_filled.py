"""Training/serving skew that recorded rows do not show: what was not measured becomes 0.

The training pipeline puts the median where a value is missing. The team that serves the model fills gaps with 0 first,
as all its services do, and the pipeline finds none left. Complete rows, as the recorded ones are, are answered as in
training. A biopsy without the four measurements of its worst cells looks harmless, whatever it is.
"""

from __future__ import annotations

import numpy as np
from screening import Screening as Right

MISSING = -1.0


class Screening(Right):  # type: ignore[misc]
    """The demo's model server, with a step of its own before the pipeline."""

    def chances(self, rows: np.ndarray) -> np.ndarray:
        """How likely each row is malignant. The mistake: the pipeline fills gaps itself."""
        return super().chances(np.where(rows == MISSING, 0.0, rows))
