"""Sliding: a model that gets a little worse with every release, each time within the margin.

Each trial compares with the stable revision, so ten steps of half a margin pass one by one. What a revision showed in its trial
is therefore kept, and a new one is also held against a reference: the release that a person names, or else the best of the last
ten. Where it is worse by more than twice the margin, and chance does not explain it, people are told. Nothing is blocked and
nothing goes back: whether a slow slide is the model's or the world's, a person has to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seatrial.api.spec import Check
from seatrial.api.status import CheckStatus, QualityStatus, Release, ReleaseRate, Sliding, Status
from seatrial.build.revision import digest
from seatrial.core.checks.gathering import pace_of
from seatrial.core.checks.terms import Terms, terms_of
from seatrial.core.passing import Pass
from seatrial.core.statistics import bounds, clumps

KEPT = 11
"""Releases whose rates are kept: the one that serves, and ten before it."""
FLOOR = 1000
"""Requests below which a rate says too little to be held against another, or for another to be held against."""
CHANCE = 0.0005
"""The chance of a wrong bound for the release that serves. For a reference it is a tenth of it, since the best of ten is chosen."""
FACTOR = 2.0
"""How many margins are too many."""


@dataclass(frozen=True, slots=True)
class _Rate:
    """A share of a release, as it counts against it: of events, or in the mirror of everything else."""

    release: Release
    age: int
    """Releases since then; 0 for the one that serves."""
    events: int
    total: int
    inflation: float

    @property
    def share(self) -> float:
        return self.events / self.total

    @property
    def upper(self) -> float:
        return bounds.upper(self.events, self.total, CHANCE / 10, self.inflation)

    @property
    def lower(self) -> float:
        return bounds.lower(self.events, self.total, CHANCE, self.inflation)


def record(p: Pass, status: Status, revision: str) -> Status:
    """Keep what a revision showed in the trial in which it is accepted now."""
    have = {check.name: check for check in status.checks}
    rates = [
        ReleaseRate(
            check=check.name,
            asked=_asked(check, stored),
            events=stored.trial.candidate.events,
            total=stored.trial.candidate.total,
            inflation=round(1000 * _inflation(check, stored)),
        )
        for check in _shares(p)
        if (stored := have.get(check.name)) is not None and stored.trial is not None
    ]
    quality = status.quality or QualityStatus()
    releases = [Release(revision=revision, at=p.now, rates=rates), *quality.releases][:KEPT]
    return status.model_copy(update={"quality": quality.model_copy(update={"releases": releases})})


def _shares(p: Pass) -> list[Check]:
    """Checks that are a share of requests. Answers that agree are no rate of one revision, and a query is no count."""
    if p.spec.analysis.none is not None:
        return []
    return [check for check in p.spec.analysis.checks if check.preset is not None or check.share is not None]


def _asked(check: Check, stored: CheckStatus) -> str:
    """What was counted. Rates of two releases are held against each other only where it was the same."""
    share = check.share.wire() if check.share is not None else None
    return digest([check.preset, share, stored.source, stored.slower_than], 12)


def _inflation(check: Check, stored: CheckStatus) -> float:
    return 2.0 * clumps.clump(pace_of(stored), terms_of(check).inflation) - 1.0


def follow(p: Pass, status: Status) -> Status:
    """Hold the release that serves against the reference, whenever one of the two, or a check, is another."""
    quality = status.quality
    if quality is None or status.stable is None:
        return status
    releases = _served(quality.releases, status.stable)
    wanted = p.spec.analysis.reference
    pinned = _pinned(quality, releases, wanted)
    now = digest([status.stable, releases[0].wire() if releases else None, wanted, _judged_by(p)], 12)
    if now == quality.judged and releases == quality.releases:
        return status
    note = ""
    if wanted is not None and pinned is None:
        known = ", ".join(release.revision for release in releases) or "none yet"
        note = (
            f"analysis.reference names revision {wanted}, whose rates are not known, so the best of the last releases is the "
            f"reference; known are {known}"
        )
        p.note(note)
    found = list(_sliding(_shares(p), releases, pinned)) if releases and releases[0].revision == status.stable else []
    before = {one.check for one in quality.sliding} if quality.of == status.stable else set()
    for one in found:
        if one.check not in before:
            p.event("QualitySliding", one.message, "Warning")
    judged = QualityStatus(
        releases=releases, pinned=pinned, sliding=found, note=note[:1024], of=status.stable, judged=now
    )
    return status.model_copy(update={"quality": judged})


def _served(releases: list[Release], stable: str) -> list[Release]:
    """Without those that were accepted later and taken back."""
    at = next((index for index, release in enumerate(releases) if release.revision == stable), 0)
    return releases[at:]


def _pinned(quality: QualityStatus, releases: list[Release], wanted: str | None) -> Release | None:
    """The release a person names, also when it is no longer among the last."""
    if wanted is None:
        return None
    known = [*releases, *([quality.pinned] if quality.pinned is not None else [])]
    return next((release for release in known if release.revision == wanted), None)


def _judged_by(p: Pass) -> list[object]:
    return [[check.wire(), str(check.preset)] for check in _shares(p)]


def _sliding(checks: Iterable[Check], releases: list[Release], pinned: Release | None) -> Iterator[Sliding]:
    for check in checks:
        terms = terms_of(check)
        if terms.points is None and terms.relative is None:
            continue
        for mirrored in terms.sides:
            if len(terms.sides) > 1 and pinned is None:
                continue  # of a share that is worse in either direction there is no best
            if message := _told(check, terms, releases, pinned, mirrored=mirrored):
                yield Sliding(check=check.name, message=message[:1024])
                break


def _told(check: Check, terms: Terms, releases: list[Release], pinned: Release | None, *, mirrored: bool) -> str:
    """Why a check slides: a sentence, or empty."""
    now = _rate(check.name, releases[0], 0, mirrored=mirrored)
    if now is None:
        return ""
    # One that left the list is at least as old as the oldest in it.
    ages = {release.revision: age for age, release in reversed(list(enumerate(releases)))}
    chosen = list(enumerate(releases))[1:] if pinned is None else [(ages.get(pinned.revision, len(releases)), pinned)]
    rates = [
        rate for age, release in chosen if (rate := _rate(check.name, release, age, mirrored=mirrored)) is not None
    ]
    asked = _asked_of(releases[0], check.name)
    rates = [rate for rate in rates if _asked_of(rate.release, check.name) == asked]
    if not rates:
        return ""
    then = min(rates, key=lambda rate: (rate.upper, rate.age))
    margin = terms.margin(then.upper)
    if then.age == 0 or now.lower - then.upper <= FACTOR * margin:
        return ""
    shown, shown_then = (1.0 - now.share, 1.0 - then.share) if mirrored else (now.share, then.share)
    several = "release" if then.age == 1 else "releases"
    return (
        f"quality is sliding over {then.age} {several}: {check.name} {shown:.2%} now ({now.total:,} requests), "
        f"{shown_then:.2%} with {then.release.revision} {then.age} {several} ago ({then.total:,}), margin "
        f"{margin * 100:.2f} points; the difference is more than twice the margin, and not by chance"
    )


def _rate(name: str, release: Release, age: int, *, mirrored: bool) -> _Rate | None:
    found = next((rate for rate in release.rates if rate.check == name), None)
    if found is None or found.total < FLOOR or found.events > found.total:
        return None
    events = found.total - found.events if mirrored else found.events
    return _Rate(release, age, events, found.total, max(1.0, found.inflation / 1000.0))


def _asked_of(release: Release, name: str) -> str:
    return next((rate.asked for rate in release.rates if rate.check == name), "")
