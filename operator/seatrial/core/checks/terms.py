"""What a check on a share allows: how much worse than stable, and how much at all."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal

from seatrial.api.spec import Check, CheckPreset, Margin, Mean, Share, WorseWhen
from seatrial.core.checks.preset import TIMED
from seatrial.core.statistics import clumps

RELATIVE_FLOOR = 0.0025
"""A relative margin is never less than this share: without it a stable that makes no errors could not be matched."""

DEFAULT_MARGIN = {
    CheckPreset.ERRORS: Margin(points=Decimal("0.5"), relative=Decimal(50)),
    CheckPreset.LATENCY: Margin(points=Decimal(2)),
    CheckPreset.FIRST_TOKEN: Margin(points=Decimal(2)),
    CheckPreset.INTER_TOKEN: Margin(points=Decimal(2)),
}
"""What a preset allows where a check says nothing of it."""
DEFAULT_MAX = {CheckPreset.ERRORS: 0.05}
"""The largest share, as a share of 1."""
_OF_TIME = frozenset({"seconds", "milliseconds", "microseconds", "ms", "us", "time", "duration", "latency"})
"""Words in the name of a metric that adds up times."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a check allows, as shares from 0 to 1."""

    points: float | None
    relative: float | None
    ceiling: float | None
    inflation: float = clumps.PRIOR
    """Variance of clumped events, as a multiple of that of independent ones, where nothing was measured yet."""
    prudent: float = clumps.PRUDENT
    """The same for a Pass."""
    worse_when: WorseWhen = WorseWhen.HIGHER
    """Which change counts against the candidate."""
    carried: bool = True
    """What spoke for the candidate at lower weights counts at the last step. Times do not: they depend on the load of a pod."""

    @property
    def sides(self) -> tuple[bool, ...]:
        """For each direction that counts, whether it is looked at in the mirror: a share that falls is one that rises
        of everything else."""
        return {WorseWhen.HIGHER: (False,), WorseWhen.LOWER: (True,), WorseWhen.EITHER: (False, True)}[self.worse_when]

    def margin(self, base: float) -> float:
        """How far from stable's share is still acceptable: the stricter of the two margins."""
        allowed = [self.points] if self.points is not None else []
        if self.relative is not None:
            allowed.append(max(self.relative * base, RELATIVE_FLOOR))
        return min(allowed, default=1.0)


def terms_of(check: Check) -> Terms:
    """The margins and ceiling of a check on a share, a preset's defaults filled in."""
    ceiling, margin = None, check.margin or Margin()
    if check.preset is not None:
        ceiling, margin = DEFAULT_MAX.get(check.preset), check.margin or DEFAULT_MARGIN[check.preset]
    if check.max is not None:
        ceiling = float(check.max.rstrip("%")) / (100.0 if check.max.endswith("%") else 1.0)
    found = terms(margin, ceiling, worse_when=check.worse_when or WorseWhen.HIGHER)
    timed = check.preset in TIMED or (check.share is not None and of_time(check.share))
    return replace(found, carried=not timed)


def of_time(counted: Mean | Share) -> bool:
    """Whether a check is about times that the model's pods took, by the name of what is added up: a mean of them, or the share in
    a bucket of their histogram.
    """
    named = re.split("[_:]", counted.of.split("{", 1)[0].strip())
    if counted.revision_label is not None or (isinstance(counted, Share) and named[-1] != "bucket"):
        return False
    return not _OF_TIME.isdisjoint(named)


def terms(
    margin: Margin,
    ceiling: float | None = None,
    inflation: float | None = None,
    worse_when: WorseWhen = WorseWhen.HIGHER,
) -> Terms:
    """Margins and ceiling as shares; an inflation is one for Fail and Pass."""
    return Terms(
        points=None if margin.points is None else float(margin.points) / 100.0,
        relative=None if margin.relative is None else float(margin.relative) / 100.0,
        ceiling=ceiling,
        inflation=clumps.PRIOR if inflation is None else inflation,
        prudent=clumps.PRUDENT if inflation is None else inflation,
        worse_when=worse_when,
    )
