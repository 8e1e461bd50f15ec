"""What the simulated models said in training."""

from __future__ import annotations

from typing import Any

from seatrial.core import snapshot
from seatrial.core.snapshot import Snapshot
from seatrial.core.state import Manifest
from tests.sim.world import SCORES, scored


def trained(higher: float = 0.0, *, total: int = 20_000, **more: Any) -> Manifest:
    """The snapshot of a model whose scores in training were so much higher than usual."""
    counts = tuple(round(total * share) for _, share in scored(higher))
    said = {"metric": "model_score", "counts": counts, "edges": tuple(f"{edge:g}" for edge in SCORES), **more}
    return snapshot.build("fraud-model-score", "models", Snapshot(**said))


USUAL = trained()
"""Of the usual ones."""
