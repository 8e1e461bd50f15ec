"""The verdict on a share: Fail as soon as it is sure, Pass once it is, else what is missing.

* **Fail**: evidence that the candidate is worse than stable by more than the margin, or above the ceiling. It may be asked at every
  look: a candidate as good as the check demands is failed in at most `FALSE_ALARM` of all trials, all checks together.
* **Pass**: enough requests, and evidence that the harm this weight can do, weight × (candidate - stable), is within the
  margin. At the last step the candidate itself has to be within it, on all evidence of the trial (times of answers: of this
  weight): one that is not passes in at most `FALSE_PASS` of all trials.
* else **Inconclusive**, with the number of requests that is missing at today's shares, and the time they take.

The statistics are in `core/statistics`; the promise and how it is split in `docs/verdicts.md`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from seatrial.api.base import format_duration
from seatrial.api.spec import WorseWhen
from seatrial.api.status import Arms, CheckStatus, EvidenceStatus, Outcome
from seatrial.core.checks.base import Situation, milliseconds, verdict
from seatrial.core.checks.gathering import in_nats, in_the_mirror, pace_of, plus, within_ceiling, within_margin
from seatrial.core.checks.load import load_of
from seatrial.core.checks.terms import Terms
from seatrial.core.statistics import clumps
from seatrial.core.statistics.sequential import Counts, against, averaged

FALSE_ALARM = 0.01
"""Most trials of a good candidate that all checks together may fail."""
FALSE_PASS = 0.02
"""Most trials in which a check may accept a candidate that is worse by the margin."""
FALSE_STEP = 0.05
"""Most steps that a check may let go on although the candidate's harm at this weight exceeds the margin."""
SUSPICION = math.log(5.0)
"""Evidence of harm, in nats, from which on nothing passes."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Counts of both arms."""

    events: int
    total: int
    base_events: int
    base_total: int

    @property
    def share(self) -> float:
        """The candidate's share; 0 without requests."""
        return self.events / self.total if self.total > 0 else 0.0

    @property
    def base(self) -> float:
        """Stable's share; 0 without requests."""
        return self.base_events / self.base_total if self.base_total > 0 else 0.0


def seen_in(arms: Arms | None) -> Seen:
    """Counts as status keeps them."""
    arms = arms or Arms()
    return Seen(arms.candidate.events, arms.candidate.total, arms.stable.events, arms.stable.total)


def judge_share(subject: str, terms: Terms, stored: CheckStatus, situation: Situation) -> CheckStatus:
    """The verdict on counted shares of any kind; `subject` begins its sentence."""
    if (sentence := failure(terms, stored, situation)) is not None:
        return verdict(stored, situation, Outcome.FAIL, f"{subject} {sentence}: fail")
    seen = seen_in(stored.trial if situation.last and terms.carried else stored.step)
    compare = situation.concurrent or (situation.last and terms.ceiling is None and seen.base_total > 0)
    if not compare and terms.ceiling is None:
        return verdict(
            stored,
            situation,
            Outcome.INCONCLUSIVE,
            f"{subject} {_numbers(seen, compared=False)}: stable answers nothing beside it to compare with, "
            "and the check has no ceiling: set max",
        )
    said = f"{subject} {_numbers(seen, compared=compare)}"
    if why := _burdened(terms, stored, seen, situation):
        return verdict(stored, situation, Outcome.INCONCLUSIVE, f"{said}: {why}")
    if seen.total < situation.min_samples or not _sure(terms, stored, situation):
        missing, needs = _missing(terms, stored, seen, situation, compare)
        return verdict(stored, situation, Outcome.INCONCLUSIVE, f"{said}: {missing}", needs)
    if _suspicion(stored, situation) > SUSPICION:
        return verdict(
            stored, situation, Outcome.INCONCLUSIVE, f"{said}, but worse of late, which is not sure yet: waits"
        )
    within = f"{said}, {_within(terms, stored, situation, compare)}"
    if not situation.settled:
        waits = f"{within}: waits until the weight has been in force for two scrapes"
        return verdict(stored, situation, Outcome.INCONCLUSIVE, waits, 0)
    if stored.message:
        return verdict(stored, situation, Outcome.NO_DATA, stored.message)
    return verdict(stored, situation, Outcome.PASS, f"{within}: pass")


def failure(terms: Terms, stored: CheckStatus, situation: Situation) -> str | None:
    """Why the evidence is a failure, with its numbers; None where it is not."""
    margin = terms.margin(clumps.share(pace_of(stored)))
    claims = []
    for side, mirrored in zip(stored.evidence, terms.sides, strict=False):
        risen = "worse" if terms.worse_when is WorseWhen.HIGHER else "higher"
        harm = f"{_points(margin)} {'lower' if mirrored else risen}"
        claims += [
            (side, side.worse, margin, mirrored, f"more than {harm}"),
            (side, side.above, None, False, f"above the ceiling of {_percent(terms.ceiling or 0.0)}"),
        ]
    claims = [claim for claim in claims if claim[1]]
    sure = math.log(max(1, len(claims)) * situation.checks / FALSE_ALARM)
    for side, logs, allowed, mirrored, harm in claims:
        nats = against(in_nats(logs), _age(side, situation))
        if nats >= sure:
            where, seen = _clearest(stored, allowed, terms.ceiling, mirrored=mirrored)
            return f"{_numbers(seen, compared=seen.base_total > 0)} {where}, {harm} ({_rarity(nats)})"
    return None


def _suspicion(stored: CheckStatus, situation: Situation) -> float:
    """Evidence of harm so far, in nats."""
    found = [
        against(in_nats(logs), _age(side, situation))
        for side in stored.evidence
        for logs in (side.worse, side.above)
        if logs
    ]
    return max(found, default=0.0)


def _clearest(stored: CheckStatus, margin: float | None, ceiling: float | None, *, mirrored: bool) -> tuple[str, Seen]:
    """The stretch of time in which the harm shows best; without a margin it is measured from the ceiling."""
    views = (
        ("at this weight", stored.step),
        ("in the last five minutes", stored.recent),
        ("in the last ten minutes", plus(stored.recent, stored.previous)),
        ("in the whole trial", stored.trial),
    )

    def excess(view: tuple[str, Arms | None]) -> float:
        seen = seen_in(view[1])
        over = seen.share - (ceiling or 0.0)
        if margin is not None:
            over = (seen.base - seen.share if mirrored else seen.share - seen.base) - margin
        return over * math.sqrt(seen.total)

    where, arms = max(views, key=excess)
    return where, seen_in(arms)


def _burdened(terms: Terms, stored: CheckStatus, seen: Seen, situation: Situation) -> str:
    """Why a candidate that looks slower than stable is no failure yet; empty where it does not, or its pods bear no more."""
    load, past = load_of(stored, situation), stored.past
    if seen.total < situation.min_samples:
        return ""
    slower = seen.share > seen.base + terms.margin(clumps.share(pace_of(stored)))
    if not (stored.burdened and slower) or load is None or past is None or past.total < 1:
        return ""
    return (
        f"slower, but each of its pods answers {load.told()} as stable's, and it is not surely slower than stable was in the hour "
        f"before the trial ({_percent(past.events / past.total)}): waits. With scale: Full at 50 %, or capacity: Shared, all pods "
        "have as much to do"
    )


def _sure(terms: Terms, stored: CheckStatus, situation: Situation) -> bool:
    """Whether the evidence rules out what a Pass has to rule out, on every side."""
    threshold = _threshold(situation)
    accepting = [_accepting(terms, side, situation) for side in stored.evidence]
    return bool(accepting) and all(logs and averaged(logs) >= threshold for logs in accepting)


def _accepting(terms: Terms, side: EvidenceStatus, situation: Situation) -> list[float]:
    """Evidence for a Pass by bet, in nats; none before the first look at a weight whose evidence stands alone."""
    if situation.last and (terms.carried or side.step):
        return in_nats(side.trial)
    return in_nats(side.step)


def _threshold(situation: Situation) -> float:
    """How much of it is enough."""
    return -math.log(FALSE_PASS if situation.last else FALSE_STEP)


def _missing(
    terms: Terms, stored: CheckStatus, seen: Seen, situation: Situation, compare: bool
) -> tuple[str, int | None]:
    """What an undecided check waits for, and how many requests that are; None for ever."""
    least = max(0, situation.min_samples - seen.total)
    more = requests_needed(terms, stored, seen, situation, compare=compare)
    if more is None:
        return "cannot pass at these shares, however many requests come", None
    if more <= least:
        passes = f"of the {situation.min_samples:,} that a pass takes{_time(least, stored, situation)}"
        return f"needs {least:,} more requests {passes}", least
    return f"needs about {rounded(more):,} more requests{_time(more, stored, situation)}", rounded(more)


def requests_needed(
    terms: Terms, stored: CheckStatus, seen: Seen, situation: Situation, *, compare: bool
) -> float | None:
    """How many more requests on the candidate make it pass, if both shares stay as they are; None where no number does."""
    pace = pace_of(stored)
    base, clump = clumps.share(pace), clumps.clump(pace, terms.prudent)
    margin = terms.margin(base)
    allowed = 1.0 if situation.last else 100.0 / max(situation.weight, 0.01)
    # A few requests of stable's kind stand beside the candidate's, or the first ones would decide everything.
    share = (seen.events + 100.0 * base) / (seen.total + 100.0)
    here = seen_in(stored.step)
    look = max(1.0, _rate(stored, situation) * situation.interval.total_seconds())
    ratio = here.base_total / here.total if here.total > 0 else (100.0 - situation.weight) / max(situation.weight, 0.01)
    one = Counts(share * look, look, base * look * ratio, look * ratio)
    out = 0.0
    for index, mirrored in enumerate(terms.sides):
        if compare:
            counts, middle = (in_the_mirror(one), 1.0 - base) if mirrored else (one, base)
            growth = within_margin(counts, middle, margin * allowed, clump)
        else:
            assert terms.ceiling is not None
            growth = within_ceiling(one, terms.ceiling * allowed, clump)
        have = _accepting(terms, stored.evidence[index], situation) if stored.evidence else []
        goal = _threshold(situation) + math.log(len(growth))
        pairs = zip(have or [0.0] * len(growth), growth, strict=True)
        needed = [(goal - log) / gain * look for log, gain in pairs if gain > 1e-12]
        if not needed:
            return None
        out = max(out, min(needed))
    return out


def _rate(stored: CheckStatus, situation: Situation) -> float:
    """Requests of the candidate in a second since this weight was confirmed; 0 where that is not known."""
    if situation.confirmed_at is None or stored.through is None:
        return 0.0
    seconds = (stored.through - milliseconds(situation.confirmed_at)).total_seconds()
    return seen_in(stored.step).total / seconds if seconds > 0 else 0.0


def _time(more: float, stored: CheckStatus, situation: Situation) -> str:
    """How long so many requests take at that rate."""
    rate = _rate(stored, situation)
    if rate <= 0:
        return ""
    return f", {format_duration(timedelta(seconds=rounded(more / rate)))} at today's rate"


def _within(terms: Terms, stored: CheckStatus, situation: Situation, compare: bool) -> str:
    """What a Pass rules out."""
    at = f" in all at {float(situation.weight):g}% weight"
    if situation.last:
        load = None if terms.carried else load_of(stored, situation)
        at = "" if terms.carried else " at this weight"
        if load is not None and load.less:
            at += f", where each of its pods answers {load.told()} as stable's"
    if compare:
        away = {WorseWhen.HIGHER: "worse", WorseWhen.LOWER: "lower", WorseWhen.EITHER: "away"}[terms.worse_when]
        return f"at most {_points(terms.margin(clumps.share(pace_of(stored))))} {away}{at}"
    assert terms.ceiling is not None
    return f"below the ceiling of {_percent(terms.ceiling)}{at}"


def _age(evidence: EvidenceStatus, situation: Situation) -> float:
    return max(0.0, (milliseconds(situation.now) - evidence.since).total_seconds())


# --- words --------------------------------------------------------------------------------------------


def _numbers(seen: Seen, *, compared: bool) -> str:
    if not compared:
        return f"{_percent(seen.share)} ({seen.events:,} of {seen.total:,})"
    return (
        f"{_percent(seen.share)} vs {_percent(seen.base)} "
        f"({seen.events:,} of {seen.total:,} vs {seen.base_events:,} of {seen.base_total:,})"
    )


def _rarity(nats: float) -> str:
    """How rarely a candidate as good as demanded looks like this."""
    if nats >= math.log(1e6):
        return "chance below 1 in a million"
    return f"chance 1 in {_rounded_down(math.exp(nats)):,}"


def _percent(share: float) -> str:
    return f"{share * 100:.2f}%" if share == 0 or share >= 0.0001 else f"{share * 100:.1g}%"


def _points(share: float) -> str:
    return f"{share * 100:.2f} points"


def rounded(number: float) -> int:
    """Up to two significant digits: it is an estimate, and should look like one."""
    size = _size(number)
    return math.ceil(number / size) * size


def _rounded_down(number: float) -> int:
    size = _size(number)
    return math.floor(number / size) * size


def _size(number: float) -> int:
    digits: int = 10 ** max(0, math.floor(math.log10(max(1.0, number))) - 1)
    return digits
