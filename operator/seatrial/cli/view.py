"""How a model looks in a terminal: pure functions from (object, now) to rich renderables.

Nothing here reads a clock, a cluster or the environment, so a test can compare whole pictures and others
(the demo) can draw the same ones. Texts from the cluster are always `Text`, never markup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from seatrial.cli.bar import Bar
from seatrial.cli.phases import phase
from seatrial.cli.reading import CheckView, LiveView, Reading, RevisionView, SkippedView, Tally, TrialView
from seatrial.cli.story import (
    ago,
    headline,
    next_steps,
    number,
    place,
    sentence,
    share,
    span,
)
from seatrial.cli.waits import Wait, waits_for
from seatrial.cli.way import way

MARKS = {
    "Pass": ("✔", "green"),
    "Fail": ("✘", "bold red"),
    "Inconclusive": ("…", "yellow"),
    "NoData": ("?", "yellow"),
    "Error": ("!", "yellow"),
}
VERDICTS = {"Pass": "pass", "Fail": "FAIL", "Inconclusive": "undecided", "NoData": "no data", "Error": "error"}
OUTCOMES = {
    "Promoted": ("✔", "green"),
    "RolledBack": ("✘", "red"),
    "Failed": ("✘", "red"),
    "Superseded": ("–", "dim"),
}
ROLES = {"candidate": "cyan", "stable": "green", "previous": "blue"}
DRILLS = {
    "Passed": ("✔", "green"),
    "Failed": ("✘", "red"),
    "Undecided": ("…", "yellow"),
    "Aborted": ("–", "dim"),
}
"""By the result of a drill."""
PROBATIONS = {
    "Pass": ("passed its probation", "green"),
    "Undecided": ("its probation ended undecided", "yellow"),
    "CutShort": ("its probation was cut short", "yellow"),
    "Fail": ("taken back on probation", "red"),
}
WAITING = {"Paused": "⏸ ", "AwaitingApproval": "⚑ ", "Blocked": "■ ", "Frozen": "❄ "}
"""Marks of what a trial waits for."""
QUIET = ("pods", "gateway", "endpoints")
"""What is waited for without anybody having to do anything; time and checks are drawn in their own way."""
NARROW = 76
"""Columns below which columns that only help are left out."""
WIDE = 150
"""Columns from which a check's sentence stands beside its numbers."""


def live(obj: Mapping[str, Any], now: datetime, *, command: str = "seatrial") -> RenderableType:
    """The whole picture of one model, for `get` and, drawn again and again, for `get -w`."""
    return _Sized(lambda width: _live(Reading(obj), now, command, width))


def why(obj: Mapping[str, Any], now: datetime, *, command: str = "seatrial") -> RenderableType:
    """Why a model is where it is: the decision, what it waits for, the evidence, what to do next."""
    return _Sized(lambda width: _why(Reading(obj), now, command, width))


def history(obj: Mapping[str, Any], now: datetime) -> RenderableType:
    """The trials that ended, the latest first."""
    r = Reading(obj)
    drill = _drills(r, now)
    if not r.history and drill is None:
        return Text(f"{r.name} has no trial behind it yet.")
    parts: list[RenderableType] = []
    for trial in r.history:
        if parts:
            parts.append(Text())
        parts += _trial(trial, now)
    if drill is not None:
        parts += [Text(), drill] if parts else [drill]
    return Group(*parts)


# --- parts ------------------------------------------------------------------------------------------------------------


class _Sized:
    """A picture composed for the terminal it is drawn in: where it is too low, blank lines go first."""

    def __init__(self, compose: Callable[[int], list[RenderableType]]) -> None:
        self._compose = compose

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        parts = self._compose(options.max_width)
        if (
            console.is_terminal
            and len(console.render_lines(Group(*parts), options.update(height=None))) > console.height
        ):
            parts = [part for part in parts if not (isinstance(part, Text) and not part.plain)]
        yield Group(*parts)


def _live(r: Reading, now: datetime, command: str, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = [_title(r, now), Text(_capital(headline(r)) + ".")]
    if r.url:
        parts.append(Text(r.url, style="dim underline"))
    if r.previewed:
        parts.append(_preview(r))
    if r.revisions:
        parts += [Text(), _revisions(r, width)]
    if phase(r.phase).way and (r.on_trial or r.probation):
        parts += [Text(), way(r, now, width)]
    if r.kept:
        parts.append(_fold(("↩ ", Text(r.kept)), mark="blue"))
    parts += [_fold(("↘ ", Text(sentence)), mark="yellow") for sentence in r.sliding]
    parts += [line for one in r.live for line in _drifted(one, now)]
    waits = waits_for(r, now)
    parts += [_fold(("◌ ", Text(f"waits for {wait.text}")), mark="cyan") for wait in waits if wait.kind in QUIET]
    if r.preflight:
        parts += [Text(), _fold(_preflight(r))]
    if (r.on_trial or r.probation or phase(r.phase).badly) and _judged(r):
        parts += [Text(), _checks(r, width)]
    if r.skipped is not None:
        parts += [Text(), _fold(("! ", Text("unjudged: ", style="yellow") + _unjudged(r.skipped, now)), mark="yellow")]
    parts += _decision(r)
    parts += _attention(r, waits, command, width)
    if not r.on_trial and r.history and not phase(r.phase).badly:
        parts += [Text(), _past(r, now)]
    if not r.on_trial and (drill := _drills(r, now)) is not None:
        parts += [Text(), drill]
    return parts


def _why(r: Reading, now: datetime, command: str, width: int) -> list[RenderableType]:
    parts: list[RenderableType] = [
        Text.assemble((r.name, "bold"), " is in ", _phase(r), ": ", headline(r) + "."),
    ]
    back = _back(r)
    if back:
        title = Text.assemble(("Sent back because", "bold"), (f"  {ago(r.rejected_at, now)}", "dim"))
        parts += [Text(), title, _fold(("  ", Text(back)))]
    elif _news(r):
        parts += [Text(), Text("Latest decision", style="bold"), _fold(("  ", Text(_news(r))))]
    waits = waits_for(r, now)
    if waits:
        parts += [Text(), Text("It waits for", style="bold"), *(_fold(("  • ", Text(wait.text))) for wait in waits)]
    if r.preflight:
        mark, sentences = _preflight(r)
        parts += [Text(), Text("Recorded requests", style="bold"), _fold((f"  {mark}", sentences))]
    if _judged(r):
        title = Text("Checks" if r.on_trial or r.probation else "Checks of the last trial", style="bold")
        parts += [Text(), title, *(_fold(_check_line(check, now)) for check in r.checks)]
    if r.skipped is not None:
        parts += [Text(), Text("Accepted unjudged", style="bold"), _fold(("  ! ", _unjudged(r.skipped, now)))]
    slow = [check.forecast for check in r.checks if check.forecast and check.outcome != "Pass"] if r.on_trial else []
    if slow:
        parts += [Text(), Text("Known since the first look", style="bold"), *(_fold(("  ", Text(one))) for one in slow)]
    if (drill := _drills(r, now)) is not None:
        parts += [Text(), Text("Going back was practised", style="bold"), drill]
    steps = next_steps(r, command)
    under_way = r.on_trial or r.probation is not None
    if r.kept:
        parts += [Text(), Text("Going back", style="bold"), _fold(("  ", Text(r.kept)))]
    if r.live:
        parts += [Text(), Text("Live predictions beside their training", style="bold")]
        parts += [Padding(line, (0, 0, 0, 2)) for one in r.live for line in _drifted(one, now, quiet=False)]
    if r.sliding:
        title = Text("Over several releases", style="bold")
        parts += [Text(), title, *(_fold(("  ", Text(sentence))) for sentence in r.sliding)]
    if steps or under_way:
        parts += [Text(), Text("What you can do", style="bold")]
        if under_way and not any(wait.kind in ("operator", "person") for wait in waits):
            parts.append(Text("  Nothing has to be done: it goes on by itself."))
        parts.append(_hints(steps, width))
    return parts


def _decision(r: Reading) -> list[RenderableType]:
    """The latest decision, unless it is drawn already; why a candidate goes or went back comes first."""
    back = _back(r)
    if back:
        return [Text(), _fold(("✘ ", Text(back, style="red")), mark="bold red")]
    news = _news(r)
    return [Text(), _fold(("→ ", Text(news)), mark="dim")] if news else []


def _news(r: Reading) -> str:
    """What the latest decision says beyond the rest of the picture."""
    said = {"", headline(r), r.overlay.message if r.overlay else "", r.stalled.message if r.stalled else ""}
    if r.probation and r.probation.until:
        said.add(f"revision {r.stable} serves, on probation until {r.probation.until:%Y-%m-%d %H:%M:%S} UTC")
    verdicts = "; ".join(check.message for check in r.checks if check.message)
    message = r.message.removesuffix(verdicts).rstrip(": ") if verdicts else r.message
    return "" if message.rstrip(".") in said or r.phase in {"Suspended", "Parked"} else message


def _drills(r: Reading, now: datetime) -> RenderableType | None:
    """How the last drill ended, and when the next one is due."""
    coming = f"next drill in {span(r.next_drill - now)}" if r.next_drill else ""
    if r.drill is None:
        return Text(coming, style="dim") if coming else None
    mark, style = DRILLS.get(r.drill.result, ("?", "dim"))
    told = Text.assemble((f"drill {r.drill.result.lower()} {ago(r.drill.ended, now)}", style), f": {r.drill.message}")
    told.append(f"; {coming}" if coming else "", style="dim")
    return _fold((f"{mark} ", told), mark=style)


def _drifted(one: LiveView, now: datetime, *, quiet: bool = True) -> list[RenderableType]:
    """What is known of live predictions; where it is `quiet`, only what a person should know."""
    out: list[RenderableType] = []
    if one.alert:
        out.append(_fold(("≠ ", _since(one.alert, one.alert_since, now)), mark="yellow"))
    if not one.judged:
        out.append(_fold(("? ", _since(one.message, one.at, now)), mark="yellow"))
    elif not quiet and not one.alert:
        mark, style = ("✔ ", "green") if one.state == "Within" else ("… ", "yellow")
        out.append(_fold((mark, _since(one.message, one.at, now)), mark=style))
    return out


def _since(message: str, at: datetime | None, now: datetime) -> Text:
    when = ago(at, now)
    return Text(message).append(f"  ({when})" if when else "", style="dim")


def _back(r: Reading) -> str:
    if r.drilling:
        return ""  # a copy that is failed on purpose is nobody's failure
    back = r.back_message or (r.rejected_why if phase(r.phase).badly else "")
    return r.message if back and back in r.message else back


def _past(r: Reading, now: datetime) -> RenderableType:
    """The latest trials, a line each."""
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1, style="dim")
    for trial in r.history[:3]:
        mark, style = OUTCOMES.get(trial.outcome, ("?", "dim"))
        row = (Text(f"{mark} {trial.outcome}", style=style), Text(trial.model_version or trial.revision))
        probation = _probation(trial).append("; " if trial.probation else "")
        grid.add_row(*row, Text(ago(trial.ended, now)), probation.append(trial.message, style="dim"))
    return grid


def _unjudged(skipped: SkippedView, now: datetime) -> Text:
    """Who skipped the checks, and why."""
    said = Text(f"{skipped.by} skipped the checks ({skipped.reason})", style="yellow")
    when = ago(skipped.at, now)
    return said.append(f"  {when}", style="dim") if when else said


def _probation(trial: TrialView) -> Text:
    """How the probation after a promotion ended."""
    said, style = PROBATIONS.get(trial.probation, (f"probation: {trial.probation}", "dim"))
    return Text(said if trial.probation else "", style=style)


def _preview(r: Reading) -> Text:
    """How to reach the candidate on purpose."""
    where = f"{r.name}-preview.{r.namespace}" if r.namespace else f"{r.name}-preview"
    header = f", header {r.preview_header}: candidate" if r.preview_header else ""
    return Text(f"preview: Service {where}{header}", style="dim")


def _title(r: Reading, now: datetime) -> RenderableType:
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    left = Text.assemble((r.name, "bold"), (f"  {r.namespace}" if r.namespace else "", "dim"))
    style = phase(r.phase).colour
    right = Text.assemble(
        (f" {r.phase} ", f"reverse {style}")
    )  # a style of the whole text would colour its padding too
    overlay = place(r).partition(", ")[2]
    if overlay:
        right.append(" ").append(f" {overlay} ", style="reverse yellow")
    if r.on_trial and r.started:
        right.append(f"  {span(now - r.started)} on trial", style="dim")
    grid.add_row(left, right)
    return grid


def _revisions(r: Reading, width: int) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    with_version = width >= NARROW and any(revision.model_version for revision in r.revisions)
    if with_version:
        grid.add_column(no_wrap=True, max_width=18, overflow="ellipsis")
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    for revision in r.revisions:
        style = ROLES.get(revision.role, "dim")
        cells: list[RenderableType] = [Text(revision.name, style=style), Text(revision.role, style=style)]
        if with_version:
            cells.append(Text(revision.model_version, style="dim"))
        ready_style = "" if revision.ready >= revision.replicas else "yellow"
        cells.append(Text(f"{revision.ready}/{revision.replicas} ready", style=ready_style))
        cells.append(Bar(revision.confirmed, revision.wanted, style, copied=revision.copied))
        cells.append(_weight(revision))
        grid.add_row(*cells)
    return grid


def _weight(revision: RevisionView) -> Text:
    if revision.copied and not revision.wanted and not revision.confirmed:
        return Text(f"{revision.copied} % copied", style="bold")
    if revision.wanted == revision.confirmed:
        return Text(f"{share(revision.confirmed)} %", style="bold" if revision.confirmed else "dim")
    return Text.assemble((f"{share(revision.confirmed)} %", "bold"), (f" → {share(revision.wanted)} %", "dim"))


def _judged(r: Reading) -> bool:
    """Whether the checks have anything to say: before the first look they are only names."""
    return any(check.at or check.outcome != "Inconclusive" for check in r.checks)


def _checks(r: Reading, width: int) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=True, header_style="dim", expand=False)
    table.add_column("", no_wrap=True, width=1)
    table.add_column("CHECK", no_wrap=True, max_width=20, overflow="ellipsis")
    table.add_column("VERDICT", no_wrap=True)
    counted = [check for check in r.checks if check.candidate and check.stable]
    arms = bool(counted) or any(check.value for check in r.checks)
    if arms:
        kept = r.probation is not None
        for side in ("ACCEPTED", "BEFORE") if kept else ("CANDIDATE", "STABLE"):
            table.add_column(side, no_wrap=True, justify="right")
    long = width >= WIDE
    if long:
        table.add_column("", ratio=1)
    below: list[RenderableType] = []
    for check in r.checks:
        mark, style = MARKS.get(check.outcome, ("?", "yellow"))
        cells: list[RenderableType] = [
            Text(mark, style=style),
            Text(check.name),
            Text(VERDICTS.get(check.outcome, check.outcome), style=style),
        ]
        if arms:
            cells += [_arm(check.candidate, check.value), _arm(check.stable, "")]
        if long:
            cells.append(Text(_without_name(check), style="dim" if check.outcome == "Pass" else ""))
        elif check.outcome != "Pass" and check.message and check.message not in _back(r):
            below.append(_fold((f"{mark}  ", Text(sentence(check))), mark=style))
        table.add_row(*cells)
    table.expand = long
    return Group(table, *below)


def _arm(tally: Tally | None, value: str) -> Text:
    """`0.31 %  of 12,410`."""
    if tally is None:
        return Text(value[:16]) if value else Text("–", style="dim")
    if not tally.total:
        return Text("no requests", style="dim")
    percent = 100 * tally.events / tally.total
    return Text.assemble(f"{percent:.2f} %", (f" of {number(tally.total)}", "dim"))


def _without_name(check: CheckView) -> str:
    message = check.message
    return message[len(check.name) :].lstrip(" :") if message.startswith(check.name) else message


def _preflight(r: Reading) -> tuple[str, Text]:
    mark = "✔ " if r.preflight == "Passed" else "✘ "
    style = "green" if r.preflight == "Passed" else "red"
    return mark, Text(r.preflight_message or f"recorded requests: {r.preflight}", style=style)


def _check_line(check: CheckView, now: datetime) -> tuple[str, Text]:
    line = Text(sentence(check))
    when = ago(check.at, now)
    if when:
        line.append(f"  ({when})", style="dim")
    return f"  {MARKS.get(check.outcome, ('?', ''))[0]} ", line


def _attention(r: Reading, waits: list[Wait], command: str, width: int) -> list[RenderableType]:
    """What does not go on by itself, and what a person can do about it."""
    overlay = r.overlay
    mark = WAITING.get(overlay.kind if overlay else "Paused" if r.paused else "", "◌ ")
    parts: list[RenderableType] = [
        _fold((mark, Text(_capital(wait.text), style="yellow")), mark="yellow")
        for wait in waits
        if wait.kind in ("operator", "person")
    ]
    steps = next_steps(r, command)
    if steps and (parts or not r.on_trial):
        parts.append(_hints(steps, width))
    return [Text(), *parts] if parts else []


def _hints(steps: list[tuple[str, str]], width: int) -> RenderableType:
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_column(overflow="fold")
    if width < NARROW:
        for line, meaning in steps:
            grid.add_row(Text.assemble((line, "bold"), (f"\n  {meaning}", "dim")))
    else:
        grid.add_column(overflow="fold", style="dim")
        for line, meaning in steps:
            grid.add_row(Text(line, style="bold"), Text(meaning))
    return Padding(grid, (0, 0, 0, 2), expand=False)


def _trial(trial: TrialView, now: datetime) -> list[RenderableType]:
    mark, style = OUTCOMES.get(trial.outcome, ("?", "dim"))
    head = Text.assemble((f"{mark} {trial.outcome}", style), f"  {trial.revision}")
    if trial.model_version:
        head.append(f"  {trial.model_version}")
    if trial.ended:
        took = f", took {span(trial.ended - trial.started)}" if trial.started else ""
        head.append(f"  {ago(trial.ended, now)}{took}", style="dim")
    if trial.probation:
        head.append(", ", style="dim").append(_probation(trial))
    parts: list[RenderableType] = [head, _fold(("  ", Text(trial.message)))]
    if trial.skipped is not None:
        head.append(", ", style="dim").append("unjudged", style="yellow")
        if f"{trial.skipped.by} skipped the checks" not in trial.message:
            parts.append(_fold(("  ", _unjudged(trial.skipped, now))))
    if trial.training_data:
        parts.append(_fold(("  ", Text(f"trained on {trial.training_data}", style="dim"))))
    return parts


def _fold(line: tuple[str, Text], *, mark: str = "") -> RenderableType:
    """A paragraph whose further lines stand under its first one, beside its mark."""
    sign, text = line
    if not sign:
        return text
    grid = Table.grid()
    grid.add_column(no_wrap=True, width=len(sign))
    grid.add_column(overflow="fold")
    grid.add_row(Text(sign, style=mark), text)
    return grid


def _phase(r: Reading) -> Text:
    return Text(place(r), style=f"bold {phase(r.phase).colour}")


def _capital(text: str) -> str:
    """A sentence's first letter; names of fields and commands keep theirs."""
    first = text.partition(" ")[0]
    return text if "." in first or "/" in first else text[:1].upper() + text[1:]
