"""How many trials may run at the same time, and who is next: first come, first served.

A resource takes its place in the queue with one write of its status (`queuedSince`), and begins in a later pass, when
those that run and those that came before it leave room. So two that come at the same time never both see the same room.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from seatrial.cluster.parse import time_of
from seatrial.core.state import Installation, Manifest

Key = tuple[str, str]
"""Namespace and name of a ModelDeployment."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One resource's part in it."""

    running: bool
    """A candidate is on trial against a stable revision."""
    queued: datetime | None
    """Since when it waits."""


@dataclass(slots=True)
class Turns:
    """The turns of all resources that we watch."""

    installation: Installation
    _turns: dict[Key, Turn] = field(default_factory=dict)

    def put(self, key: Key, resource: Manifest) -> set[Key]:
        """Take note of a resource; returns who waits, where its trial has ended."""
        if not self.installation.limits_trials:
            return set()
        status = resource.get("status") or {}
        running = bool(status.get("rollout")) and bool(status.get("stable"))
        queued = status.get("queuedSince")
        turn = Turn(running, time_of(queued) if queued else None)
        before = self._turns.get(key)
        self._turns[key] = turn
        return self._waiting() if before is not None and before.running and not running else set()

    def drop(self, key: Key) -> set[Key]:
        """Forget a resource; returns who waits, where its trial ran."""
        before = self._turns.pop(key, None)
        return self._waiting() if before is not None and before.running else set()

    def wait(self, key: Key) -> str:
        """What a new trial of this resource waits for; empty when it is its turn, or where nothing is limited."""
        installation = self.installation
        here = f"namespace {key[0]}"
        return self._scope(key, "the cluster", installation.trials, dict(self._turns)) or self._scope(
            key, here, installation.trials_in_namespace, {k: t for k, t in self._turns.items() if k[0] == key[0]}
        )

    def _scope(self, key: Key, where: str, most: int, turns: dict[Key, Turn]) -> str:
        if most == 0:
            return ""
        running = sorted(other for other, turn in turns.items() if turn.running and other != key)
        mine = turns.get(key)
        if mine is None or mine.queued is None:
            return f"{len(running)} of {most} trials run in {where}"
        before = sorted(
            (turn.queued, other) for other, turn in turns.items() if turn.queued and not turn.running and other != key
        )
        ahead = [other for queued, other in before if (queued, other) < (mine.queued, key)]
        if len(running) + len(ahead) < most:
            return ""
        named = ", ".join(f"{namespace}/{name}" for namespace, name in (*running, *ahead)[:3])
        came = f", {len(ahead)} came before" if ahead else ""
        return f"{len(running)} of {most} trials run in {where}{came}: {named}"

    def _waiting(self) -> set[Key]:
        return {key for key, turn in self._turns.items() if turn.queued and not turn.running}
