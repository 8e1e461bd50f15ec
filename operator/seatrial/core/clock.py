"""A step's clock, kept in absolute times so that a restart neither advances nor repeats it."""

from __future__ import annotations

from datetime import datetime, timedelta

from seatrial.api.status import Rollout

ZERO = timedelta(0)
WENT_AHEAD = timedelta(minutes=1)
"""No two clocks that are believed are further apart (metrics/source.py), one after the other."""


def elapsed(rollout: Rollout, now: datetime) -> timedelta:
    """How long the present weight has been judged: since it was confirmed, without the time it stood still."""
    if rollout.confirmed_at is None:
        return ZERO
    until = rollout.stopped_since or now
    return max(ZERO, until - rollout.confirmed_at - rollout.stopped_for)


def stop(rollout: Rollout, now: datetime) -> Rollout:
    """Let the clock stand still from now on."""
    if rollout.stopped_since is not None or rollout.confirmed_at is None:
        return rollout
    return rollout.model_copy(update={"stopped_since": now})


def go(rollout: Rollout, now: datetime) -> Rollout:
    """Let the clock run again."""
    if rollout.stopped_since is None:
        return rollout
    stopped = rollout.stopped_for + max(ZERO, now - rollout.stopped_since)
    return rollout.model_copy(update={"stopped_since": None, "stopped_for": stopped})


def restart(rollout: Rollout, confirmed_at: datetime | None) -> Rollout:
    """A new step, or the same one with its evidence voided."""
    return rollout.model_copy(update={"confirmed_at": confirmed_at, "stopped_for": ZERO, "stopped_since": None})


def believed(rollout: Rollout, now: datetime) -> Rollout:
    """The step's clock, where it was started by a clock that had gone ahead. `now` is known to be right."""
    if rollout.confirmed_at is None or rollout.confirmed_at <= now + WENT_AHEAD:
        return rollout
    return restart(rollout, now)


def waited(rollout: Rollout, now: datetime) -> timedelta:
    """How long the candidate has lacked ready pods through its own fault."""
    if rollout.unready_since is None:
        return ZERO
    excused = rollout.unready_excused
    if rollout.excused_since is not None:
        excused += now - rollout.excused_since
    return max(ZERO, now - rollout.unready_since - excused)


def unready(rollout: Rollout, now: datetime, *, excused: bool) -> Rollout:
    """The candidate lacks ready pods; `excused` when capacity or an image is missing."""
    changes: dict[str, object] = {}
    if rollout.unready_since is None:
        changes["unready_since"] = now
    if excused and rollout.excused_since is None:
        changes["excused_since"] = now
    if not excused and rollout.excused_since is not None:
        changes |= {
            "excused_since": None,
            "unready_excused": rollout.unready_excused + (now - rollout.excused_since),
        }
    return rollout.model_copy(update=changes) if changes else rollout


def ready(rollout: Rollout) -> Rollout:
    """The candidate has the pods it needs."""
    if rollout.unready_since is None:
        return rollout
    return rollout.model_copy(update={"unready_since": None, "unready_excused": ZERO, "excused_since": None})
