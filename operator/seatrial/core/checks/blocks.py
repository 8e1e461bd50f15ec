"""From sums and counts to evidence about a mean: looks are added up to blocks, and each block is weighed.

A block lasts `BLOCK` at least, and until both arms have a twentieth of `minSamples` in it. It belongs to one weight: what an
unfinished one held when the weight changed is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from seatrial.api.spec import MEAN_DURATION, MEAN_SAMPLES, Check, WorseWhen
from seatrial.api.status import Amounts, CheckStatus, EvidenceStatus, MeanArms, MeanStatus, SpreadStatus
from seatrial.core.checks.base import Situation, milliseconds
from seatrial.core.checks.gathering import CERTAIN, in_nats
from seatrial.core.checks.terms import of_time
from seatrial.core.statistics import means
from seatrial.core.statistics.means import Block, Spread
from seatrial.core.statistics.sequential import against, averaged, restarted

BLOCK = timedelta(minutes=1)
PARTS = 20
"""Least number of blocks that `minSamples` make."""
LARGEST = 1e18
"""Status holds no larger sum: with nine decimals it is as exact as decimals are added up here."""
_FAR = 10**18
HIGHER, LOWER = 1, -1
"""Directions in which a mean gets worse."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a check on a mean allows."""

    margin: float
    """Part of stable's mean."""
    directions: tuple[int, ...]
    """Which ways are for the worse."""
    samples: float
    """Least number of `per` of the candidate before a verdict."""
    duration: timedelta
    """Least time before a verdict."""
    carried: bool = True
    """What spoke for the candidate at lower weights counts at the last step."""

    @property
    def size(self) -> float:
        """Least number of `per` in each arm of a block."""
        return self.samples / PARTS


def allowed(check: Check) -> Allowed:
    """The margin and horizon of a check, defaults filled in."""
    assert check.mean is not None
    assert check.margin is not None and check.margin.relative is not None, "a mean has a relative margin: api/rules.py"
    ways = {WorseWhen.HIGHER: (HIGHER,), WorseWhen.LOWER: (LOWER,), WorseWhen.EITHER: (LOWER, HIGHER)}
    return Allowed(
        margin=float(check.margin.relative) / 100.0,
        directions=ways[check.worse_when or WorseWhen.HIGHER],
        samples=float(check.min_samples or MEAN_SAMPLES),
        duration=MEAN_DURATION if check.min_duration is None else check.min_duration,
        carried=not of_time(check.mean),
    )


def past(windows: Iterable[tuple[float, float]], size: float) -> Spread:
    """What stable's windows (sum, count) before the trial teach; those with few requests are taken together."""
    spread, total, count = Spread(), 0.0, 0.0
    for more, number in windows:
        total, count = total + more, count + number
        if count >= size:
            spread, total, count = means.observed_alone(spread, total, count), 0.0, 0.0
    return means.apart(spread)


def gathered(stored: CheckStatus, situation: Situation, new: MeanArms, allows: Allowed) -> CheckStatus:
    """The evidence with one look's sums in it."""
    have, now = stored.mean or MeanStatus(), milliseconds(situation.now)
    begun = milliseconds(stored.through or situation.start)
    block, since = plus(have.block, new), have.block_since or begun
    update: dict[str, object] = {
        "since": have.since or begun,
        "step": plus(have.step, new),
        "trial": plus(have.trial, new),
        "block": block,
        "block_since": since,
    }
    moved: dict[str, object] = {"through": now, "at": now}
    least = min(number(block.candidate.count), number(block.stable.count))
    if now - since >= BLOCK and least >= allows.size:
        full = Block(*pair(block.candidate), *pair(block.stable))
        spread = spread_of(have)
        if spread.known:
            moved["evidence"] = _weighed(stored.evidence, spread, full, situation, (since, now), allows)
            update["moments"] = _millionths(means.moments(_units(have.moments), full, spread))
            update["blocks"] = have.blocks + 1
        update |= {"block": MeanArms(), "block_since": now, "spread": kept(means.observed(spread, full))}
    return stored.model_copy(update={**moved, "mean": have.model_copy(update=update)})


def restart(mean: MeanStatus, *, trial: bool) -> MeanStatus:
    """Empty sums of the step, or of the whole trial. What was learned of the values stays."""
    spread = None if mean.spread is None else kept(means.apart(spread_of(mean)))
    if trial:
        return MeanStatus(spread=spread, per_hour=mean.per_hour)
    return mean.model_copy(
        update={"step": MeanArms(), "block": MeanArms(), "block_since": None, "spread": spread},
    )


def _weighed(
    old: Sequence[EvidenceStatus],
    spread: Spread,
    block: Block,
    situation: Situation,
    stretch: tuple[datetime, datetime],
    allows: Allowed,
) -> list[EvidenceStatus]:
    """Each direction's evidence with a block in it: symmetric bounds first, then measured ones."""
    sides = [*old] or [EvidenceStatus(since=stretch[0]) for _ in allows.directions]
    out = []
    for have, worse in zip(sides, allows.directions, strict=False):
        anew = not allows.carried and not have.step  # the first block at this weight
        side = have.model_copy(update={"trial": []}) if anew else have
        before, now = (max(0.0, (at - side.since).total_seconds()) for at in stretch)
        factor = 1.0 + worse * allows.margin
        harm = [means.log_e(block, spread, factor, worse, effect) for effect in means.worse_by(allows.margin)]
        update: dict[str, object] = {
            "worse": [
                nats
                for logs, factors in zip(halves(side.worse), zip(*harm, strict=True), strict=True)
                for nats in _nats(restarted(logs, factors, before, max(before, now), not side.worse))
            ]
        }
        for name, share in (("step", situation.weight / 100.0), ("trial", 1.0)):
            good = within(block, spread, worse, allows.margin / max(share, 1e-4))
            update[name] = [
                nats
                for logs, factors in zip(halves(getattr(side, name)), zip(*good, strict=True), strict=True)
                for nats in _nats(log + more for log, more in zip(logs or [0.0] * len(factors), factors, strict=True))
            ]
        out.append(side.model_copy(update=update))
    return out


def within(block: Block, spread: Spread, worse: int, margin: float) -> list[tuple[float, float]]:
    """Evidence by bet, symmetric and measured, that the candidate is not worse by the margin or more."""
    if worse is LOWER and margin >= 1.0:
        return [(CERTAIN, CERTAIN)] * len(means.GOOD)  # no mean is below nothing
    factor = 1.0 + worse * margin
    return [means.log_e(block, spread, factor, -worse, part * margin) for part in means.GOOD]


def harm(side: EvidenceStatus, now: datetime) -> float:
    """Evidence in nats that the candidate is worse by more than the margin: the smaller of the two bounds."""
    age = max(0.0, (milliseconds(now) - side.since).total_seconds())
    return min(against(logs, age) if logs else 0.0 for logs in halves(side.worse))


def safety(side: EvidenceStatus, *, last: bool, carried: bool = True) -> float:
    """Evidence in nats for a Pass: the smaller of the two bounds."""
    return min(averaged(logs) if logs else 0.0 for logs in accepting(side, last=last, carried=carried))


def accepting(side: EvidenceStatus, *, last: bool, carried: bool) -> tuple[list[float], list[float]]:
    """What a Pass is made of, by bound; nothing before the first block at a weight whose evidence stands alone."""
    return halves(side.trial if last and (carried or side.step) else side.step)


def halves(nats: Sequence[int]) -> tuple[list[float], list[float]]:
    """Logarithms by bound: symmetric, measured."""
    logs = in_nats(nats)
    return logs[: len(logs) // 2], logs[len(logs) // 2 :]


def _nats(logs: Iterable[float]) -> list[int]:
    return [round(max(-1e6, min(1e6, log)) * 1e3) for log in logs]


# --- as status keeps it -------------------------------------------------------------------------------


def amount(value: float) -> Decimal:
    """A sum for status: nine decimals, and never more than it can hold."""
    return Decimal(max(0.0, min(value, LARGEST * (1.0 - 1e-9)))).quantize(Decimal("0.000000001")).normalize() + Decimal(
        0
    )


def number(value: Decimal) -> float:
    """A sum to reckon with."""
    return float(value)


def pair(amounts: Amounts) -> tuple[float, float]:
    """Sum and count."""
    return number(amounts.sum), number(amounts.count)


def plus(a: MeanArms, b: MeanArms) -> MeanArms:
    """Two counts together."""
    return MeanArms(stable=_sum(a.stable, b.stable), candidate=_sum(a.candidate, b.candidate))


def _sum(a: Amounts, b: Amounts) -> Amounts:
    return Amounts(sum=_within_status(a.sum + b.sum), count=_within_status(a.count + b.count))


def _within_status(value: Decimal) -> Decimal:
    return value if value < Decimal(LARGEST) else amount(LARGEST)


def spread_of(mean: MeanStatus) -> Spread:
    """What was seen of the values."""
    have = mean.spread
    if have is None:
        return Spread()
    size = number(have.last_size)
    return Spread(
        have.squares / 1e6,
        have.pairs / 1e6,
        have.last / 1e6,
        1.0 / size if size > 0 else 0.0,
        number(have.fresh_sum),
        number(have.fresh_count),
    )


def kept(spread: Spread) -> SpreadStatus:
    """The same for status."""
    squares, pairs, last = _millionths((spread.squares, spread.pairs, spread.last))
    return SpreadStatus(
        squares=squares,
        pairs=pairs,
        last=last,
        last_size=amount(1.0 / spread.last_noise if spread.last_noise > 0 else 0.0),
        fresh_sum=amount(spread.fresh_sum),
        fresh_count=amount(spread.fresh_count),
    )


def _millionths(values: Iterable[float]) -> list[int]:
    return [round(max(-_FAR, min(_FAR, value * 1e6))) for value in values]


def _units(millionths: Sequence[int]) -> list[float]:
    return [value / 1e6 for value in millionths] if len(millionths) == means.MOMENTS else []
