"""Persisted transitions, read off two statuses: nothing here knows a strategy."""

from __future__ import annotations

from seatrial.api.status import Status


def transition(before: Status, after: Status) -> str | None:
    """The name of what storing `after` over `before` means; None where the trial stays where it was.

    A phase that a new strategy brings is a new name here without a change.
    """
    if before.phase is not after.phase:
        return f"{before.phase} → {after.phase}"
    old, new = before.rollout, after.rollout
    if old is not None and new is not None:
        if new.revision != old.revision:
            return f"{after.phase}: another revision"
        if new.step > old.step:
            return f"{after.phase}: next step"
        if new.drill is not None and new.exposed != old.exposed:
            return f"{after.phase}: exposed"
        if (new.back is None) != (old.back is None):
            return f"{after.phase}: goes back"
        if (new.drill and new.drill.released_at) != (old.drill and old.drill.released_at):
            return f"{after.phase}: counted"
        if (
            new.back is not None
            and old.back is not None
            and (new.back.minimum_at is None) != (old.back.minimum_at is None)
        ):
            return f"{after.phase}: at the minimum"
    held, left = before.traffic.slots, after.traffic.slots
    if (held.a is not None and left.a is None) or (held.b is not None and left.b is None):
        return "drained"
    return None
