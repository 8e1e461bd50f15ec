"""A mean of the user's own: a sum by a number, the candidate's against stable's. Revenue per order, seconds per token.

* **Nothing** before its own horizon: `minDuration` and `minSamples`, for a failure too. A business number is not judged after
  two minutes.
* **Fail**: evidence that the candidate's mean is worse than stable's by more than the margin; at any look, all checks together in
  at most `FALSE_ALARM` of trials with a candidate as good as demanded.
* **Pass**: evidence that the harm this weight can do is within the margin; at the last step, that the candidate itself is.
* else **Inconclusive**, with what is missing at today's rate.

The statistics are in `core/statistics/means.py`, how looks become blocks in `blocks`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from seatrial.api.base import format_duration
from seatrial.api.spec import Analysis, Check, Share
from seatrial.api.status import Amounts, CheckStatus, MeanArms, MeanStatus, Outcome, PaceStatus
from seatrial.core import counters
from seatrial.core.checks import share
from seatrial.core.checks.base import INGESTION, Hold, Presets, Refusal, Situation, milliseconds, unanswered, verdict
from seatrial.core.checks.blocks import (
    BLOCK,
    HIGHER,
    LOWER,
    Allowed,
    accepting,
    allowed,
    amount,
    gathered,
    harm,
    kept,
    number,
    pair,
    past,
    safety,
    spread_of,
)
from seatrial.core.checks.forecast import Decision, per_minute, told
from seatrial.core.checks.judging import FALSE_ALARM, FALSE_PASS, FALSE_STEP, SUSPICION
from seatrial.core.checks.reading import LOOK_BACK, answers_of, born, sides, span, unseen_pod, unusable
from seatrial.core.legs import Kind, Leg
from seatrial.core.questions import MetricAnswer, MetricQuestion, NoData, Series
from seatrial.core.statistics import means

_WAYS = {LOWER: "lower", HIGHER: "higher"}
SURE = 0.05
"""Chance that the interval of a sentence is ever wrong, in each direction by half of it."""
SLOW = 1.25
"""How many times its least time a leg may take on average: chance may well double that."""


def handles(check: Check) -> bool:
    """Whether the check is about a mean."""
    return check.mean is not None


# --- asking: two counters of both arms, as a share of the user's own asks for them --------------------


def _as_share(check: Check) -> Check:
    """What is read is read like a share: one counter by another."""
    assert check.mean is not None
    asked = Share(of=check.mean.of, per=check.mean.per, revision_label=check.mean.revision_label)
    return Check(name=check.name, share=asked, margin=check.margin)


def opening_questions(check: Check, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:
    """Has stable any series?"""
    return share.opening_questions(_as_share(check), situation, presets)


def opening(
    check: Check, situation: Situation, presets: Presets, answers: Mapping[str, MetricAnswer]
) -> CheckStatus | Refusal | Hold:
    """Without evidence; refused where nobody counts what is divided by."""
    return share.opening(_as_share(check), situation, presets, answers)


def ask(check: Check, stored: CheckStatus, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:
    """Raw samples of both arms since the last count; the first time, of stable's hour before too."""
    pace = None if _unlearned(stored) else PaceStatus()
    return share.ask(_as_share(check), stored.model_copy(update={"pace": pace}), situation, presets)


def _unlearned(stored: CheckStatus) -> bool:
    return stored.mean is None or stored.mean.spread is None


# --- counting -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sample:
    """The answer for one arm."""

    of: tuple[Series, ...]
    per: tuple[Series, ...]
    seen: counters.Scrapes
    born: Mapping[str, float]

    def amounts(self, start: float, end: float, since: float) -> Amounts | NoData:
        """What rose between two instants."""
        total = counters.risen(self.of, start, end, self.seen, self.born, since=since)
        count = counters.risen(self.per, start, end, self.seen, self.born, since=since)
        if isinstance(total, NoData):
            return total
        return count if isinstance(count, NoData) else Amounts(sum=amount(total), count=amount(count))

    def countable_from(self, start: float, end: float, since: float) -> float:
        """The first instant from which both can be counted."""
        return counters.countable_from((*self.of, *self.per), start, end, self.seen, self.born, since=since)


def fold(
    check: Check,
    stored: CheckStatus,
    situation: Situation,
    presets: Presets,  # noqa: ARG001  same signature for every kind
    answers: Mapping[str, MetricAnswer],
) -> CheckStatus:
    """Add both arms' sums since the last look, or neither's. What comes while a weight is on its way is left out."""
    preset = share.own_preset(_as_share(check))
    if isinstance(preset, str):
        return unanswered(stored, situation, Outcome.ERROR, preset)
    assert check.mean is not None and preset.part is not None and preset.whole is not None
    start, end = (at.timestamp() for at in span(stored, situation))
    read = answers_of(check.name, sides(situation), stored, situation, answers)
    if isinstance(read, CheckStatus):
        return read
    if (status := unusable(read, preset, stored, situation, end)) is not None:
        return status
    samples = []
    for one in read:
        of = tuple(found for found in one.series if preset.part.matches(found.labels))
        per = tuple(found for found in one.series if preset.whole.matches(found.labels))
        samples.append(_Sample(of, per, one.seen, born(one.arm)))
    unseen = unseen_pod(read[0].seen, read[0].arm, end) if check.mean.revision_label is None else ""
    stored = stored.model_copy(update={"outcome": Outcome.INCONCLUSIVE, "message": unseen})
    if not situation.concurrent or situation.confirmed_at is None:
        now = milliseconds(situation.now)
        return stored.model_copy(update={"through": now, "at": now})
    allows = allowed(check)
    if _unlearned(stored):
        stored = stored.model_copy(update={"mean": _learned(samples[-1], start, allows)})
    since = min(start, situation.confirmed_at.timestamp())
    begin = max(sample.countable_from(start, end, since) for sample in samples)
    begin = max(begin, (situation.confirmed_at - INGESTION).timestamp())  # a block belongs to one weight
    found = []
    for sample in samples:
        amounts = sample.amounts(begin, end, since)
        if isinstance(amounts, NoData):
            return unanswered(stored, situation, Outcome.NO_DATA, amounts.message)
        found.append(amounts)
    return gathered(stored, situation, MeanArms(candidate=found[0], stable=found[-1]), allows)


def _learned(stable: _Sample, end: float, allows: Allowed) -> MeanStatus:
    """What stable's hour before teaches; windows in which somebody's past is not known are left out."""
    length, windows = BLOCK.total_seconds(), []
    for index in range(int(LOOK_BACK.total_seconds() / length), 0, -1):
        begin = end - index * length
        amounts = stable.amounts(begin, begin + length, begin)
        if isinstance(amounts, Amounts):
            windows.append(pair(amounts))
    hours = len(windows) * length / 3600.0
    per_hour = math.fsum(count for _, count in windows) / hours if windows else 0.0
    return MeanStatus(spread=kept(past(windows, allows.size)), per_hour=amount(per_hour))


# --- judging ------------------------------------------------------------------------------------------


def judge(check: Check, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """Nothing before its horizon; then Fail as soon as it is sure, Pass once it is, else what is missing."""
    if stored.outcome in (Outcome.NO_DATA, Outcome.ERROR):
        return stored
    mean, allows = stored.mean or MeanStatus(), allowed(check)
    said = f"{check.name} {_numbers(check, mean)}"
    if not situation.concurrent:
        why = "stable answers nothing beside it to compare with"
        return verdict(stored, situation, Outcome.INCONCLUSIVE, f"{said}: {why}")
    if early := _early(check, mean, allows, situation):
        least = max(0.0, allows.samples - number(mean.trial.candidate.count))
        return verdict(stored, situation, Outcome.INCONCLUSIVE, f"{said}: {early}", least)
    sure = math.log(len(allows.directions) * situation.checks / FALSE_ALARM)
    found = [harm(side, situation.now) for side in stored.evidence]
    if (worst := max(found, default=0.0)) >= sure:
        way = allows.directions[found.index(worst)]
        return verdict(
            stored,
            situation,
            Outcome.FAIL,
            f"{said}; {_when(mean, allows, way)}surely more than {_percent(allows.margin)} {_WAYS[way]} ({_rarity(worst)}): fail",
        )
    goal = -math.log(FALSE_PASS if situation.last else FALSE_STEP)
    if not stored.evidence or any(
        safety(side, last=situation.last, carried=allows.carried) < goal for side in stored.evidence
    ):
        missing, needs = _missing(check, stored, allows, situation, goal)
        return verdict(stored, situation, Outcome.INCONCLUSIVE, f"{said}: {missing}", needs)
    if worst > SUSPICION:
        why = "but worse of late, which is not sure yet: waits"
        return verdict(stored, situation, Outcome.INCONCLUSIVE, f"{said}, {why}")
    at = f" in all at {float(situation.weight):g}% weight"
    if situation.last:
        at = "" if allows.carried else " at this weight"
    within = f"{said}; at most {_percent(allows.margin)} {_ways(allows)}{at}"
    if not situation.settled:
        waits = f"{within}: waits until the weight has been in force for two scrapes"
        return verdict(stored, situation, Outcome.INCONCLUSIVE, waits, 0)
    if stored.message:
        return verdict(stored, situation, Outcome.NO_DATA, stored.message)
    return verdict(stored, situation, Outcome.PASS, f"{within}: pass")


def _early(check: Check, mean: MeanStatus, allows: Allowed, situation: Situation) -> str:
    """What is missing to the check's own horizon; empty beyond it."""
    watched = timedelta(0) if mean.since is None else milliseconds(situation.now) - mean.since
    count = number(mean.trial.candidate.count)
    missing = []
    if count < allows.samples:
        more = allows.samples - count
        takes = _time(more, mean, situation).removeprefix(", ")
        missing.append(f"{_count(more)} more {_per(check)}" + (f" ({takes})" if takes else ""))
    if watched < allows.duration:
        left = timedelta(seconds=math.ceil((allows.duration - watched).total_seconds()))
        missing.append(f"{format_duration(left)} more")
    if not missing:
        return ""
    return (
        f"no verdict before {_count(allows.samples)} {_per(check)} and {format_duration(allows.duration)}: "
        f"needs {' and '.join(missing)}"
    )


def _missing(
    check: Check, stored: CheckStatus, allows: Allowed, situation: Situation, goal: float
) -> tuple[str, float | None]:
    """What an undecided check waits for, and how much of `per` that is, where it is known."""
    mean = stored.mean or MeanStatus()
    spread = spread_of(mean)
    if not spread.known or not stored.evidence:
        pairs = max(0, math.ceil(means.LEAST_PAIRS - spread.pairs))
        said = (
            f"how widely the values are spread is not known yet: needs {pairs + 1} more blocks of {_count(allows.size)} "
            f"{_per(check)} in each arm, {format_duration(BLOCK)} each at the least"
        )
        return said, None
    more = needed(stored, allows, situation, goal)
    if more is None:
        return "cannot pass at these means, however long it is watched", None
    return f"needs about {_count(more)} more {_per(check)}{_time(more, mean, situation)}", more


def needed(stored: CheckStatus, allows: Allowed, situation: Situation, goal: float) -> float | None:
    """How much more of `per` the candidate takes to pass, if both means stay as they are; None where no number does."""
    mean = stored.mean or MeanStatus()
    spread, seen = spread_of(mean), mean.trial if situation.last and allows.carried else mean.step
    mine, others = _block_sizes(stored, allows, situation)
    total, count = pair(seen.candidate)
    base_total, base_count = pair(seen.stable)
    away = 0.0
    if count > 0 and base_count > 0 and base_total > 0:
        # A first few requests would decide everything: they count beside an expected difference of half a margin.
        apart, noise = total / count / (base_total / base_count) - 1.0, spread.variance * (1 / count + 1 / base_count)
        expected = (allows.margin / 2.0) ** 2
        away = apart * expected / (expected + noise)
    margin = allows.margin * (1.0 if situation.last else 100.0 / max(situation.weight, 0.01))
    blocks = 0.0
    for side, worse in zip(stored.evidence, allows.directions, strict=False):
        variance = spread.variance * (1.0 / mine + (1.0 + worse * margin) ** 2 / others)
        logs = accepting(side, last=situation.last, carried=allows.carried)
        growth = [means.gain(variance, margin - worse * away, part * margin) for part in means.GOOD]
        have = [min(pairs) for pairs in zip(*logs, strict=True)] or [0.0] * len(growth)
        aim = goal + math.log(len(growth))
        takes = [(aim - log) / more for log, more in zip(have, growth, strict=True) if more > 1e-9]
        if not takes:
            return None
        blocks = max(blocks, min(takes))
    return max(1.0, blocks) * mine


def _block_sizes(stored: CheckStatus, allows: Allowed, situation: Situation) -> tuple[float, float]:
    """How much of `per` a block has in each arm, at today's rate and this weight."""
    mean = stored.mean or MeanStatus()
    mine, others = (max(1e-9, number(arm.count)) for arm in (mean.step.candidate, mean.step.stable))
    ratio, here = others / mine, _rate(stored, situation) * BLOCK.total_seconds() or allows.size
    here *= max(1.0, allows.size / here, allows.size / (here * ratio))
    return here, here * ratio


def _rate(stored: CheckStatus, situation: Situation) -> float:
    """Of `per`, by the candidate, in a second since this weight was confirmed; 0 where that is not known."""
    if situation.confirmed_at is None or stored.through is None or stored.mean is None:
        return 0.0
    seconds = (stored.through - milliseconds(situation.confirmed_at)).total_seconds()
    return number(stored.mean.step.candidate.count) / seconds if seconds > 0 else 0.0


# --- the forecast -------------------------------------------------------------------------------------


def forecast(check: Check, learned: CheckStatus, legs: Sequence[Leg], analysis: Analysis) -> str:
    """Why a plan will be slow to decide on this mean, from what stable's past taught; empty where it will not."""
    mean = learned.mean or MeanStatus()
    spread, allows = spread_of(mean), allowed(check)
    rate = number(mean.per_hour) / 3600.0
    if rate <= 0:
        return ""
    variance = spread.variance if spread.known else means.SMALLEST  # what is not known is no reason to warn
    decided = decisions(allows, variance, rate, [leg for leg in legs if answers(check, leg)], analysis.interval)
    late = next((one for one in decided if one.late), None)
    slow = late or next((one for one in decided if (one.seconds or 0.0) > SLOW * _least(allows, one)), None)
    if slow is None:
        return ""
    takes = "would never pass" if slow.seconds is None else f"takes about {told(slow.seconds)} to pass"
    if late:
        but = f"and that step ends undecided after {format_duration(slow.leg.max_duration)}"
    else:
        but = f"more than its minDuration of {format_duration(slow.leg.min_duration)}"
    spread_by = f" that differ by {_percent(math.sqrt(variance))} of their mean" if spread.known else ""
    return (
        f"check {check.name}: at {per_minute(rate)} {_per(check)} a minute{spread_by}, {slow.leg.told()} {takes} a candidate as good as stable, {but}: widen the margin, raise the weight, or "
        "give it more time"
    )


def answers(check: Check, leg: Leg) -> bool:
    """Whether a leg can answer the check: nobody acts on the answers of a shadow, nor comes to a preview."""
    assert check.mean is not None
    return leg.judged and (leg.kind is Kind.CANARY or check.mean.revision_label is None)


def decisions(
    allows: Allowed, variance: float, rate: float, legs: Sequence[Leg], interval: timedelta
) -> tuple[Decision, ...]:
    """When each leg is passed by a candidate like stable. `rate` is what both arms count of `per` in a second."""
    out, gathered_before, watched = [], 0.0, 0.0
    for index, leg in enumerate(legs):
        share_of_all, last = (leg.weight or leg.mirror) / 100.0, index == len(legs) - 1
        mine, others = rate * share_of_all, rate * (1.0 - leg.weight / 100.0)
        if min(mine, others) <= 0:
            out.append(Decision(leg, None))
            break
        block = max(BLOCK.total_seconds(), interval.total_seconds(), allows.size / min(mine, others))
        margin = allows.margin if last else allows.margin / share_of_all
        grown = [_growth(allows, variance, one, mine * block, others * block) for one in (margin, allows.margin)]
        goal = (
            math.log(len(means.GOOD) / FALSE_PASS) - gathered_before if last else math.log(len(means.GOOD) / FALSE_STEP)
        )
        if goal > 0 and grown[0] <= 1e-9:
            out.append(Decision(leg, None))
            break
        seconds = max(0.0, goal) / grown[0] * block if grown[0] > 0 else 0.0
        seconds = max(seconds, allows.samples / mine if index == 0 else 0.0, allows.duration.total_seconds() - watched)
        out.append(Decision(leg, seconds))
        stays = max(seconds, leg.min_duration.total_seconds())
        gathered_before += grown[1] * stays / block if allows.carried else 0.0
        watched += stays
    return tuple(out)


def _growth(allows: Allowed, variance: float, margin: float, mine: float, others: float) -> float:
    """Nats that a block brings on average in the slower direction, by the better bet; infinite where nothing is to be shown."""
    out = math.inf
    for worse in allows.directions:
        if worse is LOWER and margin >= 1.0:
            continue
        noise = variance * (1.0 / mine + (1.0 + worse * margin) ** 2 / others)
        out = min(out, max(means.gain(noise, margin, part * margin) for part in means.GOOD))
    return out


def _least(allows: Allowed, decision: Decision) -> float:
    """The least time of a leg for this check: its own horizon is no surprise."""
    return max(allows.duration, decision.leg.min_duration).total_seconds()


# --- words --------------------------------------------------------------------------------------------


def _numbers(check: Check, mean: MeanStatus) -> str:
    """Both means, what they are made of, and how far apart they surely are."""
    (total, count), (base_total, base_count) = pair(mean.trial.candidate), pair(mean.trial.stable)
    if count <= 0 or base_count <= 0:
        return f"(n={_count(count)} vs {_count(base_count)} {_per(check)})"
    ours, theirs = total / count, base_total / base_count
    said = f"{_value(ours)} vs {_value(theirs)} (n={_count(count)} vs {_count(base_count)} {_per(check)})"
    if theirs <= 0:
        return said
    ratio = ours / theirs
    low, high = means.interval([value / 1e6 for value in mean.moments], SURE)
    return f"{said}, {_way(ratio)}{_surely(low, high)}"


def _way(ratio: float) -> str:
    percent = _percent(abs(ratio - 1.0))
    if percent == "0%":
        return "the same"
    return f"{percent} {'lower' if ratio < 1.0 else 'higher'}"


def _surely(low: float, high: float) -> str:
    """The interval at all looks together."""
    if not math.isfinite(high) or low <= 0:
        return ""
    if high < 1.0:
        return f" (at least {_percent(1.0 - high)}, at most {_percent(1.0 - low)})"
    if low > 1.0:
        return f" (at least {_percent(low - 1.0)}, at most {_percent(high - 1.0)})"
    return f" (surely from {_percent(1.0 - low)} lower to {_percent(high - 1.0)} higher)"


def _ways(allows: Allowed) -> str:
    return "away" if len(allows.directions) > 1 else _WAYS[allows.directions[0]]


def _when(mean: MeanStatus, allows: Allowed, way: int) -> str:
    """A fault that began late is not in the means of the whole trial."""
    (total, count), (base_total, base_count) = pair(mean.trial.candidate), pair(mean.trial.stable)
    if min(count, base_count, base_total) <= 0:
        return ""
    apart = total / count / (base_total / base_count) - 1.0
    return "" if way * apart > allows.margin else "of late "


def _per(check: Check) -> str:
    """What is counted, by the name of its metric."""
    assert check.mean is not None
    return check.mean.per.split("{", 1)[0].strip()


def _value(value: float) -> str:
    """Three digits, as a person writes them: `41.2`, `1,204`, `0.0312`."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _count(value: float) -> str:
    """A number of requests, up to four significant digits."""
    size: int = 10 ** max(0, math.floor(math.log10(max(1.0, value))) - 3)
    return f"{math.ceil(value / size) * size:,}" if value > 0 else "0"


def _percent(part: float) -> str:
    return f"{round(part * 100, 1):g}%"


def _time(more: float, mean: MeanStatus, situation: Situation) -> str:
    """How long so many take at today's rate; empty where that is not known."""
    if situation.confirmed_at is None:
        return ""
    seconds = (milliseconds(situation.now) - milliseconds(situation.confirmed_at)).total_seconds()
    count = number(mean.step.candidate.count)
    if seconds <= 0 or count <= 0:
        return ""
    return f", {told(more * seconds / count)} at today's rate"


def _rarity(nats: float) -> str:
    """How rarely a candidate as good as demanded looks like this."""
    if nats >= math.log(1e6):
        return "chance below 1 in a million"
    chance = math.exp(nats)
    size: int = 10 ** max(0, math.floor(math.log10(chance)) - 1)
    return f"chance 1 in {math.floor(chance / size) * size:,}"
