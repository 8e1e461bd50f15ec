"""Plain lines: the table of `list`, and the log that `get -w` writes where there is no terminal.

No rich here: `list` is typed often, read by scripts, and should be there at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from seatrial.cli.phases import phase
from seatrial.cli.reading import Reading
from seatrial.cli.story import headline, place, share, span

CODES = {
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "bright_blue": "94",
}
"""What a terminal is told for a colour."""
GAP = "   "


def table(
    objects: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    namespaces: bool = False,
    wide: bool = False,
    width: int | None = None,
    colour: bool = False,
) -> list[str]:
    """The table of all models. `width` cuts the message so that each line fits; None leaves it whole."""
    readings = sorted((Reading(obj) for obj in objects), key=lambda r: (r.namespace, r.name))
    head = ["NAME", "PHASE", "WEIGHT", "STEP", "STABLE", "CANDIDATE", "MESSAGE", "AGE"]
    if wide:
        head[6:6] = ["READY", "URL"]
    if namespaces:
        head.insert(0, "NAMESPACE")
    rows = [_row(r, now, namespaces=namespaces, wide=wide) for r in readings]
    message = head.index("MESSAGE")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    if width is not None:
        rest = sum(widths) - widths[message] + len(GAP) * (len(head) - 1)
        widths[message] = max(len("MESSAGE"), min(widths[message], width - rest))
    out = []
    for index, row in enumerate([head, *rows]):
        cells = [_cut(cell, widths[i]).ljust(widths[i]) for i, cell in enumerate(row)]
        if colour:
            code = "2" if index == 0 else CODES[phase(readings[index - 1].phase).colour]
            if index == 0:
                cells = [f"\033[2m{cell}\033[0m" for cell in cells]
            elif code:
                at = head.index("PHASE")
                cells[at] = f"\033[{code}m{cells[at]}\033[0m"
        out.append(GAP.join(cells).rstrip())
    return out


def _row(r: Reading, now: datetime, *, namespaces: bool, wide: bool) -> list[str]:
    weight = share(r.weight(r.candidate, confirmed=True)) if r.on_trial else ""
    step = f"{r.step + 1}/{len(r.steps)}" if r.on_trial and r.exposed and r.stable and not r.drilling else ""
    row = [r.name, place(r), weight, step, r.stable, r.candidate, r.message or headline(r)]
    if wide:
        ready = " ".join(f"{rev.ready}/{rev.replicas}" for rev in r.revisions)
        row[6:6] = [ready, r.url]
    if namespaces:
        row.insert(0, r.namespace)
    row.append(span(now - r.created) if r.created else "")
    return [cell or "–" for cell in row]


def log_key(obj: Mapping[str, Any]) -> tuple[object, ...]:
    """What has to change for a new line of the log: decisions, weights and verdicts, not every number."""
    r = Reading(obj)
    overlay = r.overlay
    return (
        r.phase,
        overlay and (overlay.kind, overlay.message),
        r.message,
        r.step,
        r.copied,
        r.weight(r.candidate, confirmed=True),
        r.weight(r.candidate, confirmed=False),
        tuple((check.name, check.outcome) for check in r.checks),
        tuple((revision.name, revision.ready, revision.replicas) for revision in r.revisions),
        r.stalled and r.stalled.message,
    )


def log_line(obj: Mapping[str, Any], now: datetime, *, named: bool = False) -> str:
    """One line of the log: when, where, the weight, the verdicts, and the latest decision."""
    r = Reading(obj)
    words = [now.strftime("%H:%M:%S")]
    if named:
        words.append(f"{r.namespace}/{r.name}")
    words.append(place(r))
    if r.on_trial and r.exposed:
        confirmed, wanted = (r.weight(r.candidate, confirmed=value) for value in (True, False))
        arrow = "" if confirmed == wanted else f"→{share(wanted)}%"
        words.append(f"{share(confirmed)}%{arrow}")
        words += [f"copies {r.copied}%"] if r.copied else []
    if r.on_trial:
        ready = next((rev for rev in r.revisions if rev.name == r.candidate), None)
        words += [f"{ready.ready}/{ready.replicas} ready"] if ready else []
        words += [f"{check.name}={check.outcome}" for check in r.checks]
    overlay = r.overlay
    stalled = r.stalled.message if r.stalled else ""
    sentence = overlay.message if overlay else (r.back_message or stalled or r.message or headline(r))
    return f"{'  '.join(words)}  {sentence}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
