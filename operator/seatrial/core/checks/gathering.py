"""From the counts of one look to evidence: what is added up, and what has to be weighed look by look."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from seatrial.api.status import Arms, CheckStatus, EvidenceStatus, PaceStatus, Tally
from seatrial.core.checks.base import Situation, milliseconds
from seatrial.core.checks.load import as_slow_before, followed
from seatrial.core.checks.terms import Terms
from seatrial.core.statistics import clumps
from seatrial.core.statistics.clumps import Pace
from seatrial.core.statistics.sequential import Counts, alternatives, log_e, log_e_alone, restarted

BLOCK = timedelta(minutes=5)
"""Counts are kept of the present and the last block too, so that a sentence can tell of what is fresh."""
BETS = (0.0, 0.4)
"""Alternatives of a candidate that is good enough, as parts of the margin."""
CERTAIN = 50.0
"""Nats of evidence against a claim that cannot be true: a share above 1."""
_FULL = 1.0 - 1e-6
OUTLIERS = 4
"""Numbers that keep the two pairs of windows apart."""


def gathered(stored: CheckStatus, situation: Situation, new: Arms, terms: Terms) -> CheckStatus:
    """The evidence with one look's counts in it."""
    if not terms.carried:
        stored = followed(stored, situation, new)
    limit = as_slow_before(stored.past, terms) if stored.burdened else None
    old: list[EvidenceStatus | None] = [*stored.evidence] or [None] * len(terms.sides)
    pace, since = pace_of(stored), milliseconds(stored.through or situation.start)
    evidence = [
        _weighed(pace, side, situation, since, new, terms, mirrored=mirrored, limit=limit)
        for side, mirrored in zip(old, terms.sides, strict=True)
    ]
    if situation.concurrent:
        pace = clumps.observed(pace, new.stable.events, new.stable.total)
    return _added(stored, situation, new).model_copy(update={"evidence": evidence, "pace": kept(pace)})


def _weighed(
    pace: Pace,
    side: EvidenceStatus | None,
    situation: Situation,
    since: datetime,
    new: Arms,
    terms: Terms,
    *,
    mirrored: bool,
    limit: float | None,
) -> EvidenceStatus:
    """Every bet is made with what was known before this look; that is what makes its evidence count."""
    base, clump = clumps.share(pace), clumps.clump(pace, terms.inflation)
    margin = terms.margin(base)
    seen = Counts(new.candidate.events, new.candidate.total, new.stable.events, new.stable.total)
    if mirrored:
        base, seen = 1.0 - base, in_the_mirror(seen)
    old = side or EvidenceStatus(since=since)
    before = max(0.0, (since - old.since).total_seconds())
    now = max(before, (milliseconds(situation.now) - old.since).total_seconds())
    first = side is None

    out: dict[str, object] = {}
    worse = [0.0] * len(old.worse)
    if situation.concurrent and base + margin < _FULL:
        worse = [log_e(seen, base, share, margin, clump) for share in alternatives(base + margin, margin)]
        if limit is not None and not mirrored:
            # The smaller one is evidence against each of two claims: as quick as stable is, and as it was under as much load.
            then = [log_e_alone(seen, share, limit, clump) for share in alternatives(limit, terms.margin(limit))]
            worse = [min(pair) for pair in zip(worse, then, strict=True)]
    if worse:
        out["worse"] = _nats(restarted(in_nats(old.worse), worse, before, now, first))
    if terms.ceiling is not None and 0.0 < terms.ceiling < _FULL:
        above = [
            log_e_alone(seen, share, terms.ceiling, clump) for share in alternatives(terms.ceiling, terms.ceiling / 2.0)
        ]
        out["above"] = _nats(restarted(in_nats(old.above), above, before, now, first))
    alone = not situation.concurrent
    if (alone and terms.ceiling is None) or (not alone and pace.windows == 0):
        return old.model_copy(update=out)  # without any past, the first look only teaches what stable is like
    if alone is not old.alone:
        old = old.model_copy(update={"alone": alone, "step": [], "trial": []})
    if not terms.carried and not old.step:
        old = old.model_copy(update={"trial": []})  # the first look at this weight
    # To be better than a stable that is in trouble speaks for nobody.
    trouble = not mirrored and clumps.odd(pace, new.stable.events, new.stable.total, clump)
    weight, prudent = max(situation.weight, 0.01) / 100.0, clumps.clump(pace, terms.prudent)
    for name, allowed in (("step", 1.0 / weight), ("trial", 1.0)):
        if alone:
            assert terms.ceiling is not None
            factors = within_ceiling(seen, terms.ceiling * allowed, prudent)
        else:
            factors = within_margin(seen, base, margin * allowed, prudent)
        if trouble:
            factors = [min(0.0, factor) for factor in factors]
        have = in_nats(getattr(old, name)) or [0.0] * len(factors)
        out[name] = _nats(log + factor for log, factor in zip(have, factors, strict=True))
    return old.model_copy(update=out)


def in_the_mirror(seen: Counts) -> Counts:
    """What was no event, counted as one."""
    return Counts(seen.total - seen.events, seen.total, seen.base_total - seen.base_events, seen.base_total)


def within_margin(seen: Counts, base: float, margin: float, clump: float) -> list[float]:
    """Evidence, by bet, against the claim that the candidate is worse than stable by at least the margin."""
    if base + margin >= _FULL:
        return [CERTAIN] * len(BETS)
    return [log_e(seen, base, base + part * margin, margin, clump) for part in BETS]


def within_ceiling(seen: Counts, ceiling: float, clump: float) -> list[float]:
    """Evidence, by bet, against the claim that the candidate's own share is at least a ceiling."""
    if ceiling >= _FULL:
        return [CERTAIN] * len(BETS)
    return [log_e_alone(seen, ceiling * (0.2 + part), ceiling, clump) for part in BETS]


def pace_of(stored: CheckStatus) -> Pace:
    """Stable's windows as status keeps them."""
    have = stored.pace
    if have is None:
        return Pace()
    a, b, c, d = (value / 1e3 for value in have.outliers) if len(have.outliers) == OUTLIERS else (0.0,) * OUTLIERS
    return Pace(
        have.squares / 1e3,
        have.weight / 1e3,
        ((a, b), (c, d)),
        have.events / 1e3,
        have.total / 1e3,
        have.windows,
        have.last_events / 1e3,
        have.last_total / 1e3,
        have.fresh_events / 1e3,
        have.fresh_total / 1e3,
    )


def kept(pace: Pace) -> PaceStatus:
    """Stable's windows for status."""
    return PaceStatus(
        squares=round(pace.squares * 1e3),
        weight=round(pace.weight * 1e3),
        events=round(pace.events * 1e3),
        total=round(pace.total * 1e3),
        windows=pace.windows,
        last_events=round(pace.last_events * 1e3),
        last_total=round(pace.last_total * 1e3),
        fresh_events=round(pace.fresh_events * 1e3),
        fresh_total=round(pace.fresh_total * 1e3),
        outliers=[round(value * 1e3) for pair in pace.outliers for value in pair],
    )


def in_nats(nats: Iterable[int]) -> list[float]:
    """Logarithms of evidence as status keeps them."""
    return [value / 1e3 for value in nats]


def _nats(logs: Iterable[float]) -> list[int]:
    return [round(max(-1e6, min(1e6, log)) * 1e3) for log in logs]


def _added(stored: CheckStatus, situation: Situation, new: Arms) -> CheckStatus:
    now = milliseconds(situation.now)
    since = stored.block_since
    if since is None:
        recent, previous, since = new, None, milliseconds(stored.through or situation.start)
    elif now - since < BLOCK:
        recent, previous = plus(stored.recent, new), stored.previous
    else:
        # A block that was not followed for long is no longer the one before this one.
        previous = stored.recent if now - since < 2 * BLOCK else None
        recent, since = new, milliseconds(stored.through or situation.start)
    return stored.model_copy(
        update={
            "step": plus(stored.step, new),
            "trial": plus(stored.trial, new),
            "recent": recent,
            "previous": previous,
            "block_since": since,
            "through": now,
            "at": now,
        }
    )


def plus(a: Arms | None, b: Arms | None) -> Arms:
    """Two counts together."""
    a, b = a or Arms(), b or Arms()
    return Arms(stable=_sum(a.stable, b.stable), candidate=_sum(a.candidate, b.candidate))


def _sum(a: Tally, b: Tally) -> Tally:
    return Tally(events=a.events + b.events, total=a.total + b.total)
