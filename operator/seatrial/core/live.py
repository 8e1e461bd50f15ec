"""Live predictions against a training snapshot: a model at rest learns that the world has moved on.

At times of its own, the predictions of the revision that serves, of the last hour, are held against how the model's predictions
were distributed when it was trained. Where they are surely further apart than the limit, people are told: once when that begins,
and once when they are surely nearer again. Nothing of a trial follows from it.

There is no last look, so what is promised is a rate: in any `PERIOD`, all looks together are wrong with a chance of α at the most.
Each has an equal part of it, whatever the looks before said; so nothing has to be remembered of them, and a look that finds
nothing new is not written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from seatrial.api.base import format_duration
from seatrial.api.spec import Live
from seatrial.api.status import LiveAlert, LiveState, LiveStatus, Status
from seatrial.build.revision import digest
from seatrial.core import counters, evidence, histograms, snapshot
from seatrial.core.bins import Frozen
from seatrial.core.checks.base import INGESTION, Arm, milliseconds
from seatrial.core.checks.drift import WINDOW
from seatrial.core.checks.judging import FALSE_ALARM, FALSE_PASS, rounded
from seatrial.core.checks.predictions import Comparison, Subject, subject_of
from seatrial.core.checks.reading import ALL, born, matching, whole
from seatrial.core.passing import Pass
from seatrial.core.questions import (
    CounterQuestion,
    Counters,
    Failure,
    NoData,
    Questions,
    Series,
    SnapshotAnswer,
)
from seatrial.core.snapshot import Snapshot, SnapshotError
from seatrial.core.statistics import drift as statistics

PERIOD = timedelta(days=30)
"""The time of which the promise is made."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SOON = timedelta(seconds=1)
"""When a look is made up for that had to stand back behind a trial's."""
JUDGED = frozenset({LiveState.UNDECIDED, LiveState.WITHIN, LiveState.DRIFTED})
"""States in which predictions were compared."""
UNUSABLE = frozenset({LiveState.NO_SNAPSHOT, LiveState.BAD_SNAPSHOT, LiveState.OTHER_BINS})
"""States that only a person can end."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What one look says."""

    state: LiveState
    message: str
    distance: float | None = None
    nearly: bool = False
    """So few are missing that what was known before stands."""


@dataclass(frozen=True, slots=True)
class _Reference:
    """A snapshot and the bins it is compared by."""

    kept: Snapshot
    frozen: Frozen


# --- when -------------------------------------------------------------------------------------------------------------


def _asked(p: Pass, status: Status) -> Sequence[Live]:
    """What is watched: nothing while nothing serves."""
    return () if status.stable is None or p.replicas == 0 else p.spec.analysis.live or ()


def _definition(one: Live, stable: str) -> str:
    return digest([stable, one.wire()], 12)


def _slot(p: Pass, every: timedelta, at: datetime) -> int:
    """The number of a resource's own time for looks: a thousand models with one schedule are not looked at at once."""
    return (at - EPOCH - _offset(p, every)) // every


def _offset(p: Pass, every: timedelta) -> timedelta:
    return timedelta(seconds=int(digest(p.observed.uid, 8), 16)) % every


def _due(p: Pass, status: Status, one: Live) -> bool:
    """Whether it has never been looked at as it is, or its time has come since the last look."""
    assert status.stable is not None
    stored = _stored(status, one.name)
    if stored is None or stored.definition != _definition(one, status.stable):
        return True
    looked = p.observed.live_looked
    return looked is not None and _slot(p, one.every, looked) != _slot(p, one.every, p.now)


def _stored(status: Status, name: str) -> LiveStatus | None:
    return next((one for one in status.live if one.name == name), None)


# --- asking -----------------------------------------------------------------------------------------------------------


def questions(p: Pass, status: Status, *, beside: Questions) -> Questions:
    """What a trial asks, and what is asked here; a look of a trial is not kept waiting by it."""
    under_way = status.rollout is not None or status.probation is not None
    if under_way and beside.metrics:
        return beside
    due = [one for one in _asked(p, status) if _due(p, status, one)]
    if not due:
        return beside
    metrics = [question for one in due if (question := _question(p, status, one)) is not None]
    names = tuple(dict.fromkeys(one.snapshot.name for one in due))
    return replace(beside, metrics=(*beside.metrics, *metrics), snapshots=names)


def _key(one: Live, stable: str | None) -> str:
    return f"@live/{one.name}/{stable}"  # no check has such a name


def _question(p: Pass, status: Status, one: Live) -> CounterQuestion | None:
    subject = subject_of(one.name, one.drift)
    if isinstance(subject, str):
        return None
    end = _end(p)
    return CounterQuestion(_key(one, status.stable), _selector(p, status, subject), end - one.window, end)


def _selector(p: Pass, status: Status, subject: Subject, *, proof: bool = True) -> str:
    assert status.stable is not None
    seen = evidence.situation(p, status, status.stable)
    metrics = (*subject.metrics, subject.preset.proof) if proof else subject.metrics
    return matching(subject.preset, metrics, ALL, _arm(p, status), seen)


def _arm(p: Pass, status: Status) -> Arm:
    assert status.stable is not None
    return evidence.situation(p, status, status.stable).candidate


def _end(p: Pass) -> datetime:
    return milliseconds(p.now) - INGESTION


# --- following --------------------------------------------------------------------------------------------------------


def follow(p: Pass, status: Status) -> Status:
    """Keep what is known of each, tell of an alert that begins or ends, and be back for the next look."""
    asked, names = _asked(p, status), {one.name for one in p.spec.analysis.live or ()}
    # Parked, nothing is known anew.
    out = [] if asked else [stored for stored in status.live if stored.name in names]
    for one in asked:
        stored = _stored(status, one.name)
        if _due(p, status, one):
            stored = _look(p, status, one, stored)
        if stored is not None:
            out.append(stored)
        p.wake(EPOCH + _offset(p, one.every) + (_slot(p, one.every, p.now) + 1) * one.every - p.now)
    for gone in status.live:
        if gone.name not in names and gone.alert is not None:
            p.event("TrainingDriftEnded", f"{gone.name} is watched no more: analysis.live does not name it")
    return status if out == status.live else status.model_copy(update={"live": out})


def _look(p: Pass, status: Status, one: Live, stored: LiveStatus | None) -> LiveStatus | None:
    """What is known after this look, where this pass asked for it."""
    assert status.stable is not None
    held = p.answers.snapshots.get(one.snapshot.name)
    readable = not isinstance(subject_of(one.name, one.drift), str)
    if held is None or (readable and _key(one, status.stable) not in p.answers.metrics):
        p.wake(SOON)  # a trial's look came first, or the revision serves only since this pass
        return stored
    p.distances = {} if p.distances is None else p.distances
    definition = _definition(one, status.stable)
    same = stored if stored is not None and stored.definition == definition else None
    if stored is not None and same is None and stored.alert is not None:
        p.event(
            "TrainingDriftEnded",
            f"{one.name}: revision {status.stable} and snapshot {one.snapshot.name} are held against each other from now on; "
            "what was said before was of others",
        )
    found = _find(p, status, one, stored, held)
    p.distances[one.name] = found.distance
    if same is not None and not _is_new(same, found):
        return same
    fresh = same or LiveStatus(name=one.name, snapshot=one.snapshot.name, definition=definition, at=p.now)
    return _become(p, fresh, found)


def _is_new(stored: LiveStatus, found: _Found) -> bool:
    """A verdict stands until there is another one, so that a distance near the limit tells once."""
    if found.state is stored.state:
        return False
    if found.state is LiveState.UNDECIDED:
        return stored.state not in (LiveState.WITHIN, LiveState.DRIFTED)
    return not (found.nearly and stored.state in JUDGED)


def _become(p: Pass, stored: LiveStatus, found: _Found) -> LiveStatus:
    state, message, alert = found.state, found.message, stored.alert
    if state is LiveState.UNDECIDED and alert is not None:
        state, message = LiveState.DRIFTED, alert.message
    if state is LiveState.DRIFTED and alert is None:
        alert = LiveAlert(since=p.now, message=message[:1024])
        p.event("TrainingDrift", message, "Warning")
    elif state is LiveState.WITHIN and alert is not None:
        lasted = format_duration(timedelta(minutes=round((p.now - alert.since).total_seconds() / 60)))
        p.event("TrainingDriftEnded", f"{message}; it had drifted for {lasted}")
        alert = None
    elif state in UNUSABLE:
        p.event("SnapshotUnusable", message, "Warning")
    else:
        p.note(message)
    return stored.model_copy(update={"state": state, "message": message[:1024], "at": p.now, "alert": alert})


# --- one look ---------------------------------------------------------------------------------------------------------


def _find(p: Pass, status: Status, one: Live, before: LiveStatus | None, held: SnapshotAnswer) -> _Found:
    """Everything that can be in the way, then the comparison. `before` is what status has of this name."""
    name, who = one.snapshot.name, f"{one.name}: "
    subject = subject_of(one.name, one.drift)
    if isinstance(subject, str):
        return _Found(LiveState.NO_METRIC, f"{who}{subject}")
    if held.missing:
        return _Found(
            LiveState.NO_SNAPSHOT,
            f"{who}ConfigMap {name} does not exist in namespace {p.observed.namespace}: apply what `seatrial snapshot` wrote, or "
            "correct analysis.live",
        )
    if held.failed:
        return _Found(LiveState.NO_ANSWER, f"{who}ConfigMap {name} could not be read: {held.failed}")
    try:
        kept = snapshot.load(name, held.data)
        frozen = kept.bins()
    except SnapshotError as error:
        return _Found(LiveState.BAD_SNAPSHOT, f"{who}{error}")
    if why := _of_another(subject, kept):
        return _Found(LiveState.OTHER_BINS, f"{who}snapshot {name} {why}")
    if why := _other_model(p, status, one, before, kept):
        return _Found(LiveState.OTHER_MODEL, f"{who}snapshot {name} {why}")
    match whole(p.answers.metrics, _key(one, status.stable), f"stable {status.stable}"):
        case Counters(series=series):
            return _compare(p, status, one, _Reference(kept, frozen), subject, series)
        case NoData(message) | Failure(message):
            return _Found(LiveState.NO_ANSWER, f"{who}{message}")


def _of_another(subject: Subject, kept: Snapshot) -> str:
    """Why the snapshot counts something else."""
    if kept.metric != subject.named.metric:
        return f"is of the metric {kept.metric}, and {subject.named.metric} is watched: name another snapshot, or that metric"
    if kept.by != (subject.by or ""):
        told = f"counts classes by {kept.by}" if kept.by else "counts a histogram"
        wanted = f"by {subject.by}" if subject.by else "as a histogram"
        return f"{told}, and {kept.metric} is watched {wanted}: make one that counts the same"
    return ""


def _other_model(p: Pass, status: Status, one: Live, before: LiveStatus | None, kept: Snapshot) -> str:
    """Why the snapshot is not of the model that serves: by its version, or else by when it was named."""
    assert status.stable is not None
    if kept.model_version:
        record = p.observed.records.get(status.stable)
        serves = record.model_version if record is not None else None
        if serves == kept.model_version:
            return ""
        return (
            f"is of model version {kept.model_version}, and revision {status.stable} serves, of "
            f"{f'version {serves}' if serves else 'no version (spec.model.version)'}: name the snapshot of the model that serves"
        )
    known = before is not None and before.snapshot == one.snapshot.name and before.state is not LiveState.OTHER_MODEL
    if p.wanted == status.stable or known:
        return ""
    return (
        f"was named while revision {p.wanted} is wanted, so it is taken for a snapshot of that one, and revision {status.stable}, "
        "which serves, is not held against it: make snapshots with --model-version, and they are told apart"
    )


def _compare(
    p: Pass,
    status: Status,
    one: Live,
    reference: _Reference,
    subject: Subject,
    series: Sequence[Series],
) -> _Found:
    kept, marks = reference.kept, reference.frozen.marks
    who, window = f"{one.name}: ", format_duration(one.window)
    rows = subject.rows(series, marks)
    if isinstance(rows, NoData):
        return _Found(
            LiveState.OTHER_BINS,
            f"{who}snapshot {one.snapshot.name} was counted with other buckets than the metric has now: {rows.message}. Make a new "
            "one with the metric's own edges (`seatrial snapshot --edges-from`)",
        )
    if not rows:
        return _Found(
            LiveState.NO_METRIC,
            f"{who}stable revision {status.stable} has no predictions in the last {window}. Looked for "
            f"{_selector(p, status, subject, proof=False)}: have Prometheus scrape it, or correct analysis.live",
        )
    begin, end = (_end(p) - one.window).timestamp(), _end(p).timestamp()
    counts, inflation = _count(rows, len(marks) + 1, begin, end, counters.scrapes(series), born(_arm(p, status)))
    both = Comparison(one.drift, marks, counts, kept.binned(marks), inflation)
    until = f"{p.now:%Y-%m-%d %H:%M} UTC"
    if both.made < both.floor:
        return _Found(
            LiveState.TOO_FEW,
            f"{who}{both.made:,} predictions in the {window} to {until}, and {math.ceil(both.floor):,} are the least: choose a longer "
            "window, or wait for more traffic",
            nearly=both.made >= both.floor / 2,
        )
    if both.beside < both.floor:
        return _Found(
            LiveState.BAD_SNAPSHOT,
            f"{who}snapshot {one.snapshot.name} holds {both.beside:,} predictions, and as live ones hang together "
            f"{math.ceil(both.floor):,} are the least: make one of more rows, or of a longer window",
        )
    distance = both.measured()
    said = (
        f"{who}{both.measure.name} {distance:.3f} from snapshot {one.snapshot.name} ({both.moved()}; {both.beside:,} → {both.made:,} "
        f"predictions in the {window} to {until})"
    )
    if both.above(nats(one.every, FALSE_ALARM / max(1, len(p.spec.analysis.live or ())))):
        return _Found(
            LiveState.DRIFTED,
            f"{said}, surely more than {both.limit:g}: what it is asked, or how it answers, is not what it was trained on. Look at "
            f"its inputs, and retrain; if it is meant to be so, name a new snapshot",
            distance,
        )
    if both.below(nats(one.every, FALSE_PASS)):
        blind = reference.frozen.blind
        within = f"{said}, surely less than {both.limit:g}{f'; it {blind}' if blind else ''}"
        return _Found(LiveState.WITHIN, within, distance)
    growth = both.growth(nats(one.every, FALSE_PASS))
    more = f"; a window with about {rounded(growth * both.made):,} predictions would tell" if growth is not None else ""
    unsure = f"{said}, neither surely more than {both.limit:g} nor surely less{more}"
    return _Found(LiveState.UNDECIDED, unsure, distance)


def nats(every: timedelta, chance: float) -> float:
    """-ln of the part that one look has of what all looks of a `PERIOD` may spend.

    >>> round(nats(timedelta(minutes=10), 0.01), 2)
    12.98
    """
    return math.log(PERIOD / every / chance)


def _count(
    rows: Sequence[histograms.Row],
    bins: int,
    begin: float,
    end: float,
    seen: counters.Scrapes,
    births: Mapping[str, float],
) -> tuple[list[int], float]:
    """Predictions by bin, and how much more they vary from minute to minute than independent ones."""
    length = WINDOW.total_seconds()
    windows = [[0.0] * bins for _ in range(max(1, math.ceil((end - begin) / length)))]
    for row in counters.without_copies(rows):
        for at, more in histograms.increments(row, bins, begin, end, seen, births):
            window = windows[min(len(windows) - 1, int((at - begin) / length))]
            for index, number in enumerate(more):
                window[index] += number
    counts = [round(math.fsum(window[index] for window in windows)) for index in range(bins)]
    return counts, statistics.inflation([[round(number) for number in window] for window in windows])
