"""The way of a trial as places in a row, and how long the present one still takes."""

from __future__ import annotations

from datetime import datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from seatrial.cli.bar import Bar
from seatrial.cli.estimate import about, estimate
from seatrial.cli.phases import phase
from seatrial.cli.reading import Reading
from seatrial.cli.story import clock, span

LINKS = (" ── ", " ─ ", "  ")
"""Between two places, as wide as there is room for."""
LONGEST_BAR = 30


def way(r: Reading, now: datetime, width: int) -> RenderableType:
    """All places, which of them is the present one, and its clock."""
    drawn = _drawn(_places(r), _here(r), _passed_over(r), width)
    timed = _clock(r, now, width)
    return Group(drawn, timed) if timed is not None else drawn


def _places(r: Reading) -> list[tuple[str, bool]]:
    """Each place's name, and whether a person has to let the candidate pass it."""
    if not r.stable:
        # A first revision has nothing to be compared with: it is ready, and then it serves.
        return [("ready", False), ("stable", False)]
    steps = [(step.place, bool(step.approval)) for step in r.steps]
    probation = [(f"probation {span(r.probation_length)}", False)] if r.probation_length or r.probation else []
    return [("ready", False), *steps, ("stable", False), *probation]


def _here(r: Reading) -> int:
    """Which of the places is the present one."""
    if r.probation:
        return len(r.steps) + 2
    if r.promoting:
        return len(r.steps) + 1 if r.stable else 1
    return r.step + 1 if r.exposed else 0


def _passed_over(r: Reading) -> range:
    """Places that a candidate with skipped checks leaves behind and never passed."""
    return range(r.step + 1, len(r.steps) + 1) if r.checks_skipped and r.stable else range(0)


def _drawn(places: list[tuple[str, bool]], here: int, over: range, width: int) -> Text:
    marked = []
    for index, (name, gated) in enumerate(places):
        mark, style = ("✔", "green") if index < here else ("●", "bold cyan") if index == here else ("○", "dim")
        if index in over:
            mark, style = "–", "dim"
        place = Text(f"{mark} {name}", style=style)
        if gated and index >= here:
            place.append(" ⚑", style="not bold yellow")
        marked.append(place)
    together = sum(place.cell_len for place in marked)
    fitting = [link for link in LINKS if together + len(link) * (len(marked) - 1) <= width]
    link = Text(fitting[0] if fitting else LINKS[-1], style="dim")
    rows = [Text(no_wrap=True)]
    for place in marked:
        if rows[-1] and rows[-1].cell_len + len(link) + place.cell_len > width:
            rows.append(Text(no_wrap=True))
        elif rows[-1]:
            rows[-1].append(link)
        rows[-1].append(place)
    return Text("\n").join(rows)


def _clock(r: Reading, now: datetime, width: int) -> RenderableType | None:
    if r.probation and r.probation.until:
        left = max(timedelta(0), r.probation.until - now)
        return _timed(
            left, r.probation_length, Text(f"{span(left)} left, until {clock(r.probation.until, now)}"), width
        )
    if not phase(r.phase).exposed or r.step_confirmed is None:
        return None
    minimum, left = r.steps[r.step].minimum, r.left(now)
    note = _left(r, left, minimum) if left else _over(r, minimum)
    found = estimate(r, now)
    if found is not None and found.check:
        note.append(
            f", about {span(about(found.left))} more for {found.check}"
            if left
            else f", about {span(about(found.left))} more"
        )
    return _timed(left, minimum, note, width)


def _left(r: Reading, left: timedelta, minimum: timedelta) -> Text:
    stands = ", the clock stands still" if r.clock_stands else ""
    return Text(f"{span(left)} left of at least {span(minimum)}{stands}", style="yellow" if r.clock_stands else "")


def _over(r: Reading, minimum: timedelta) -> Text:
    judged = r.steps[r.step].kind.judged
    if r.overlay and r.overlay.kind == "AwaitingApproval":
        said = "waiting for an approval"
    elif open_ := [check.name for check in r.checks if check.outcome != ("Pass" if judged else check.outcome)]:
        said = f"waiting for {', '.join(open_)}"
    else:
        said = "all checks pass" if judged else "nothing speaks against it"
    return Text(f"the time is over ({span(minimum)}), {said}")


def _timed(left: timedelta, whole: timedelta, note: Text, width: int) -> RenderableType:
    done = 100 * (1 - left / whole) if whole else 100.0
    grid = Table.grid(padding=(0, 2, 0, 0))
    room = width - 46
    if 42 < note.cell_len <= width - 14:
        room = width - 4 - note.cell_len
    grid.add_column(width=min(LONGEST_BAR, max(10, room)))
    grid.add_column()
    grid.add_row(Bar(done, done, "cyan"), note)
    return grid
