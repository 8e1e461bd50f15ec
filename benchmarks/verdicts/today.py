"""What people use today, on the same counts.

* *argo*: a limit on the last minute's share, and the analysis fails at the fourth minute above it (Argo Rollouts' documented
  example has `failureLimit: 3`);
* *flagger*: the same at the fifth (its documented example has `threshold: 5`, which success does not reset);
* *z*: a test of two shares at 5 %, one-sided, on all counts so far, at every minute;
* *ranks*: the lower end of the 98 % interval of Mann and Whitney's shift between the arms' minutes, above 25 % of its estimate
  (Kayenta's judge, its tolerance and confidence), from the tenth minute on at every tenth.

The limit of the first two is stable's true share plus the margin. Nobody knows it so well: a fixed limit of the documentation's
examples, 1 or 5 % of errors, sends back every candidate of a model that always has 10 %, and none of one that has risen from
0.01 % to 0.9 %.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.verdicts.traffic import MINUTE, TERMS, Cell
from seatrial.simulate.judge import Array

ARGO, FLAGGER = 4, 5
TOLERANCE, NORMAL_99 = 0.25, 2.326


def verdicts(counts: tuple[Array, ...], cell: Cell) -> dict[str, Array]:
    """The minute at which each sends a candidate back, NaN for never. Counts are e, n, b, m, by (looks, trials)."""
    minutes = [x.reshape(-1, MINUTE, x.shape[1]).sum(axis=1) for x in counts]
    share = minutes[0] / np.maximum(minutes[1], 1.0)
    control = minutes[2] / np.maximum(minutes[3], 1.0)
    above = ((share > cell.base + TERMS.margin(cell.base)) & (minutes[1] > 0)).cumsum(axis=0)
    ce, cn, cb, cm = (x.cumsum(axis=0) for x in minutes)
    pooled = (ce + cb) / np.maximum(cn + cm, 1.0)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / np.maximum(cn, 1) + 1 / np.maximum(cm, 1)), 1e-300))
    z = (ce / np.maximum(cn, 1.0) - cb / np.maximum(cm, 1.0)) / spread
    ranks = np.zeros(share.shape, bool)
    for minute in range(9, len(share), 10):
        ranks[minute] = _shifted(share[: minute + 1], control[: minute + 1])
    return {
        "argo": _first(above >= ARGO),
        "flagger": _first(above >= FLAGGER),
        "z": _first((z > 1.645) & (cn > 0)),
        "ranks": _first(ranks),
    }


def _first(hits: Array) -> Array:
    return np.where(hits.any(axis=0), hits.argmax(axis=0) + 1.0, np.nan)


def _shifted(share: Array, control: Array) -> Array:
    """Whether the shift between two samples is surely upward, by more than a part of itself."""
    size = len(share)
    gaps = np.sort((share[:, None, :] - control[None, :, :]).reshape(size * size, -1), axis=0)
    at = size * size / 2.0 - NORMAL_99 * math.sqrt(size * size * (2 * size + 1) / 12.0)
    low, estimate = gaps[max(0, round(at))], np.median(gaps, axis=0)
    out: Array = (low > TOLERANCE * np.abs(estimate)) & (low > 0)
    return out
