"""Watching models: the live picture, the log where there is no terminal, and `status --wait`."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TextIO

from seatrial.cli import lines
from seatrial.cli.access import Cluster, HttpError, Object
from seatrial.cli.errors import NOT_FOUND, NOT_YET, OK, SENT_BACK, CliError
from seatrial.cli.phases import phase
from seatrial.cli.reading import DrillView, Reading
from seatrial.cli.story import headline, place, span

RECONNECT = 1.0
"""Seconds before a broken watch is begun anew."""
STALL_GRACE = 10.0
"""Seconds a `Stalled` that is not the end of a trial may last before `status --wait` believes it: a model and
its gateway are often applied at the same moment."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something to draw: an object, its end, or trouble with the connection."""

    key: str
    obj: Object | None
    trouble: str = ""


class Feed:
    """Objects as they change, read by a thread, so that a clock can be drawn while nothing does."""

    def __init__(self, cluster: Cluster, name: str = "", *, everywhere: bool = False) -> None:
        self._cluster, self._name, self._everywhere = cluster, name, everywhere
        self._queue: queue.Queue[Change | CliError] = queue.Queue()
        # The first look is taken here, so that what a person did wrong is said before anything is drawn.
        version = self._look()
        self._thread = threading.Thread(target=self._run, args=(version,), daemon=True)
        self._thread.start()

    def next(self, seconds: float) -> Change | None:
        """The next change, None if nothing changed in this time."""
        try:
            change = self._queue.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        if isinstance(change, CliError):
            raise change
        return change

    def _look(self) -> str:
        if self._name:
            obj = self._cluster.get(self._name)
            self._queue.put(Change(_key(obj), obj))
            return str(obj["metadata"]["resourceVersion"])
        objects, version = self._cluster.all(everywhere=self._everywhere)
        for obj in objects:
            self._queue.put(Change(_key(obj), obj))
        return version

    def _run(self, version: str) -> None:
        while True:
            try:
                for kind, obj in self._cluster.watch(version, name=self._name, everywhere=self._everywhere):
                    version = str(obj.get("metadata", {}).get("resourceVersion", version))
                    if kind == "DELETED":
                        self._queue.put(Change(_key(obj), None))
                    elif kind in ("ADDED", "MODIFIED"):
                        self._queue.put(Change(_key(obj), obj))
                continue  # the server ends a watch now and then
            except (ConnectionError, CliError) as error:
                self._queue.put(Change("", None, trouble=f"{error}; trying again"))
            except HttpError as error:
                if error.code not in (410, 429) and error.code < 500:
                    self._queue.put(self._cluster.explain(error, "watch", "ModelDeployments"))
                    return
            time.sleep(RECONNECT)
            try:
                version = self._look()
            except CliError as error:
                if error.code == NOT_FOUND:
                    self._queue.put(Change(f"{self._cluster.namespace}/{self._name}", None))
                    return


def watch_one(cluster: Cluster, name: str, *, out: TextIO, live: bool, command: str) -> int:
    """`get NAME -w`: the live picture in a terminal, a log elsewhere, until Ctrl-C or the object's end."""
    feed = Feed(cluster, name)
    if not live:
        return _log(feed, out, named=False)

    # rich is only imported to draw.
    from rich.console import Console, Group, RenderableType  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from seatrial.cli import view  # noqa: PLC0415

    console = Console(file=out)
    obj: Object | None = None
    trouble = ""

    def picture() -> RenderableType:
        drawn = view.live(obj, datetime.now(UTC), command=command) if obj is not None else Text(f"{name} …")
        warning = [Text(), Text(f"⚠ {trouble}", style="yellow")] if trouble else []
        # An empty last line of its own for the cursor: Ctrl-C is echoed there, and nothing is pushed down.
        return Group(drawn, *warning, Text())

    # The first look is there already, so nothing is drawn before there is something to draw.
    change = feed.next(1.0)
    obj = change.obj if change is not None else None
    with Live(picture(), console=console, auto_refresh=False, vertical_overflow="crop") as screen:
        while True:
            change = feed.next(1.0)
            if change is not None and change.trouble:
                trouble = change.trouble
            elif change is not None:
                if change.obj is None:
                    break
                obj, trouble = change.obj, ""
            screen.update(picture(), refresh=True)
    print(f"{name} was deleted.", file=out)
    return OK


def watch_all(
    cluster: Cluster, *, everywhere: bool, wide: bool, out: TextIO, live: bool, width: Callable[[], int]
) -> int:
    """`get -w` without a name: the table, drawn anew; or a line for each change."""
    feed = Feed(cluster, everywhere=everywhere)
    if not live:
        return _log(feed, out, named=True)

    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    objects: dict[str, Object] = {}
    trouble = ""
    console = Console(file=out)
    with Live(Text(), console=console, auto_refresh=False, vertical_overflow="crop") as screen:
        while True:
            change = feed.next(1.0)
            while change is not None:
                trouble = change.trouble
                if not change.trouble and change.obj is None:
                    objects.pop(change.key, None)
                elif change.obj is not None:
                    objects[change.key] = change.obj
                change = feed.next(0)
            shown = lines.table(
                list(objects.values()),
                datetime.now(UTC),
                namespaces=everywhere,
                wide=wide,
                width=width(),
                colour=not console.no_color,
            )
            text = Text.from_ansi("\n".join(shown if objects else ["No ModelDeployments yet."]), no_wrap=True)
            text.append(f"\n⚠ {trouble}\n" if trouble else "\n", style="yellow")
            screen.update(text, refresh=True)


def _log(feed: Feed, out: TextIO, *, named: bool) -> int:
    last: dict[str, tuple[object, ...]] = {}
    while True:
        change = feed.next(3600)
        if change is None:
            continue
        now = datetime.now(UTC)
        if change.trouble:
            print(f"{now:%H:%M:%S}  {change.trouble}", file=out, flush=True)
        elif change.obj is None:
            print(f"{now:%H:%M:%S}  {change.key} was deleted", file=out, flush=True)
            if not named:
                return OK
        elif last.get(change.key) != lines.log_key(change.obj):
            last[change.key] = lines.log_key(change.obj)
            print(lines.log_line(change.obj, now, named=named), file=out, flush=True)


def verdict(r: Reading, wanted: str) -> tuple[int, str] | None:
    """How this answers `status --for`: (exit code, sentence); None while it is undecided.

    A spec that the operator has not seen yet decides nothing: right after an apply, status still speaks
    of the revision before.
    """
    if r.behind or not r.told:
        return None
    sentence = f"{r.name} is {place(r)}: {r.message or headline(r)}"
    if phase(r.phase).badly:
        return (OK if wanted == "rolledback" else SENT_BACK), sentence
    if phase(r.phase).well and not r.stalled and not r.kept_waiting:
        return (SENT_BACK if wanted == "rolledback" else OK), sentence
    return None


def _readings(
    cluster: Cluster, name: str, timeout: timedelta | None, *, awaited: str, err: TextIO
) -> Iterator[Reading]:
    """The latest reading of a model, anew at each change and once a second, until the time is over.

    What changed is told on `err` when the reading was no answer: before the next one is asked for. `awaited` is what
    is waited for, for the sentence about a model that was deleted meanwhile.
    """
    feed = Feed(cluster, name)
    end = None if timeout is None else time.monotonic() + timeout.total_seconds()
    last: tuple[object, ...] | None = None
    obj: Object | None = None
    while True:
        change = feed.next(1.0 if end is None else min(1.0, max(0.0, end - time.monotonic())))
        if change is not None and change.trouble:
            print(change.trouble, file=err, flush=True)
        elif change is not None and change.obj is None:
            raise CliError(f"{name} was deleted while {awaited} was waited for", NOT_FOUND)
        elif change is not None:
            obj = change.obj
        if obj is not None:
            yield Reading(obj)
            if last != lines.log_key(obj):
                last = lines.log_key(obj)
                print(lines.log_line(obj, datetime.now(UTC)), file=err, flush=True)
        if end is not None and time.monotonic() >= end:
            return


def wait_for(cluster: Cluster, name: str, *, wanted: str, timeout: timedelta | None, out: TextIO, err: TextIO) -> int:
    """`status NAME --wait`: progress on stderr, the end on stdout, the exit code for scripts."""
    stalled_since: float | None = None
    where = "nothing was heard of it"
    for reading in _readings(cluster, name, timeout, awaited="it", err=err):
        answer = verdict(reading, wanted)
        if answer is not None:
            print(answer[1], file=out)
            return answer[0]
        stalled = reading.stalled if not reading.behind else None
        stalled_since = (stalled_since or time.monotonic()) if stalled else None
        if stalled and stalled_since and time.monotonic() - stalled_since > STALL_GRACE:
            print(f"{name} cannot go on: {stalled.message or stalled.reason}", file=out)
            return SENT_BACK
        where = f"it is {place(reading)}: {headline(reading)}"
    raise CliError(f"{name} was not decided within {span(timeout or timedelta(0))}; {where}", NOT_YET)


def wait_for_drill(
    cluster: Cluster, name: str, *, before: DrillView | None, timeout: timedelta | None, out: TextIO, err: TextIO
) -> int:
    """`drill NAME --wait`: progress on stderr, the result on stdout; only a drill that passed is a success."""
    for reading in _readings(cluster, name, timeout, awaited="its drill", err=err):
        found = reading.drill
        if found is not None and found != before:
            print(f"{name}: drill {found.result.lower()}: {found.message}", file=out)
            return _DRILLED.get(found.result, SENT_BACK)
        if not reading.drilling and not reading.drill_asked:
            raise CliError(f"the drill of {name} did not begin: seatrial why {name}", SENT_BACK)
    within = span(timeout or timedelta(0))
    raise CliError(f"the drill of {name} has not ended within {within}: seatrial why {name}", NOT_YET)


_DRILLED = {"Passed": OK, "Undecided": NOT_YET}
"""Exit codes of results."""


def _key(obj: Object) -> str:
    metadata = obj.get("metadata", {})
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
