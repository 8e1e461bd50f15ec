"""What this process wrote last, in memory, beside what status remembers.

Status remembers our writes across restarts. The ledger is never older: a pass that wrote objects and then
failed to store its status would otherwise take its own work for somebody else's edit. It also counts how
often an object came back different from the same request, which status has no need to keep.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from seatrial.api.status import Written

REWRITES = 2
"""Different answers to one and the same object after which admission is held to rewrite it."""
REPAIRS = 10
"""Repairs of one object within `WINDOW` after which somebody is held to fight us."""
WINDOW = 60.0
"""Seconds."""
TRUCE = 600.0
"""Seconds after which a contested object is tried again."""


@dataclass(frozen=True, slots=True)
class Contest:
    """How our writes of one object fared while its intent stayed the same."""

    intent: str
    rewrites: int = 0
    """Answers that differed from the one before, for the same intent."""
    repairs: tuple[float, ...] = ()
    """When it was repaired lately, on the process's monotonic clock."""
    lost_at: float | None = None
    """When we gave up writing it."""


@dataclass(slots=True)
class Page:
    """The ledger of one resource."""

    uid: str
    written: dict[str, Written] = field(default_factory=dict)
    """By ref; authoritative over status once `complete`."""
    complete: bool = False
    contests: dict[str, Contest] = field(default_factory=dict)

    def latest(self, stored: Iterable[Written]) -> dict[str, Written]:
        """What was written last, by ref."""
        if self.complete:
            return dict(self.written)
        return {entry.ref: entry for entry in stored} | self.written

    def note(self, ref: str, intent: str, live: str, now: float, *, repair: bool, before: Written | None) -> None:
        """A write was answered; `before` is what was known of the object until now."""
        self.written[ref] = Written(ref=ref, intent=intent, live=live)
        contest = self.contests.get(ref)
        if contest is None or contest.intent != intent:
            contest = Contest(intent)
        rewritten = before is not None and before.intent == intent and before.live != live
        if not repair and not rewritten:
            return
        repairs = (*(at for at in contest.repairs if now - at < WINDOW), *((now,) if repair else ()))
        rewrites = contest.rewrites + rewritten
        lost = rewrites >= REWRITES or len(repairs) > REPAIRS
        self.contests[ref] = Contest(intent, rewrites, repairs, now if lost else None)

    def contested(self, ref: str, now: float) -> bool:
        """Whether we gave up writing this object, for now."""
        contest = self.contests.get(ref)
        if contest is None or contest.lost_at is None:
            return False
        if now - contest.lost_at < TRUCE:
            return True
        self.contests[ref] = replace(contest, rewrites=0, repairs=(), lost_at=None)
        return False

    def forget(self, ref: str) -> None:
        """The object was deleted by us."""
        self.written.pop(ref, None)
        self.contests.pop(ref, None)


class Ledger:
    """Pages by resource; a resource deleted and made anew under the same name starts a new page."""

    def __init__(self) -> None:
        self._pages: dict[tuple[str, str], Page] = {}

    def page(self, key: tuple[str, str], uid: str) -> Page:
        """The page of a resource."""
        page = self._pages.get(key)
        if page is None or page.uid != uid:
            page = self._pages[key] = Page(uid)
        return page

    def drop(self, key: tuple[str, str]) -> None:
        """The resource is gone."""
        self._pages.pop(key, None)

    def stored(self, key: tuple[str, str]) -> None:
        """Status holds everything that was written: nothing of it needs to be kept here as well."""
        page = self._pages.get(key)
        if page is None:
            return
        page.written.clear()
        page.complete = False
        if not page.contests:
            del self._pages[key]
