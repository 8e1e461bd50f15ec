"""The report as a picture: a typical trial of two candidates, and how many are decided by when. Plain SVG, no library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from xml.sax.saxutils import escape

import numpy as np

from seatrial.api.base import format_duration
from seatrial.simulate.course import Course
from seatrial.simulate.fleet import End
from seatrial.simulate.report import BAD, DRIFTED, GOOD, STOPPED, Fate
from seatrial.simulate.world import Voyage

WIDTH, LEFT, RIGHT = 760, 56, 14
PANEL, GAP, TOP, TITLE = 110, 62, 86, 22
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Seconds between two ticks."""
LETTER = 6.6
"""Width of a letter, about."""
LONGEST_WAY = 60
"""Letters of a way that is told in the title."""
STYLE = """
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1f2328}
.dim{fill:#59636e}.title{font-size:14px;font-weight:600}.page{fill:#fff}.old{fill:#9dc3ee}.new{fill:#e8833a}
.copy{fill:#f3c39d}.line{stroke:#b4bcc5;fill:none}.good{stroke:#2f5f96;fill:none;stroke-width:2}
.bad{stroke:#c2410c;fill:none;stroke-width:2}.drifted{stroke:#7a3e9d;fill:none;stroke-width:2;stroke-dasharray:6 3}
@media (prefers-color-scheme:dark){
text{fill:#f0f6fc}.dim{fill:#9ea7b3}.page{fill:#0d1117}.old{fill:#2f5f96}.new{fill:#d9752b}.copy{fill:#7a4a26}
.line{stroke:#59636e}.good{stroke:#79b0f0}.bad{stroke:#ffb27a}.drifted{stroke:#cfa6e8}
}
""".strip()


def draw(course: Course, fates: Sequence[Fate]) -> str:
    """The whole picture."""
    sailed = [fate for fate in fates if fate.typical is not None]
    height = TOP + (len(sailed) + 1) * (PANEL + GAP)
    way = ", then ".join(leg.told() for leg in course.legs)
    title = (
        f"{course.name}: {way} of the requests"
        if len(way) <= LONGEST_WAY
        else f"{course.name}: {len(course.legs)} steps"
    )
    story = "; ".join(f"{fate.kind} ({fate.told}): {fate.typical.end}" for fate in sailed if fate.typical is not None)
    body: list[str] = []
    for index, fate in enumerate(sailed):
        assert fate.typical is not None
        body += _voyage(fate, fate.typical, TOP + index * (PANEL + GAP))
    body += _decided(fates, TOP + len(sailed) * (PANEL + GAP))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"',
            'role="img" aria-labelledby="title story">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="story">{escape(story)}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{height}"/>',
            f'<text class="title" x="{LEFT}" y="{TITLE}">{escape(title)}</text>',
            *_legend(shadow=any(leg.mirror for leg in course.legs)),
            *body,
            "</svg>",
            "",
        ]
    )


def _x(part: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * part


def _frame(said: str, top: float, end: float) -> Iterator[str]:
    yield f'<text x="{LEFT}" y="{top - 8}">{escape(said)}</text>'
    for share in (0, 50, 100):
        y = top + PANEL * (1 - share / 100)
        yield f'<text class="dim" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share} %</text>'
        yield f'<path class="line" d="M{LEFT - 3} {y:.1f}H{LEFT}"/>'
    for seconds in _ticks(end):
        x = _x(seconds / end)
        anchor = "end" if x > WIDTH - RIGHT - 16 else "middle"
        yield f'<path class="line" d="M{x:.1f} {top + PANEL}V{top + PANEL + 4}"/>'
        label = format_duration(timedelta(seconds=seconds)) if seconds else "0"
        yield f'<text class="dim" x="{x:.1f}" y="{top + PANEL + 18}" text-anchor="{anchor}">{label}</text>'


def _ticks(end: float) -> Iterator[int]:
    """Round times, six at the most beside 0."""
    step = next((step for step in STEPS if end / step <= 6), STEPS[-1] * math.ceil(end / STEPS[-1] / 6))
    return iter(range(0, int(end) + 1, step))


def _legend(*, shadow: bool) -> Iterator[str]:
    """Which colour is whose."""
    across = float(LEFT)
    for style, words in (
        ("old", "stable answers"),
        ("new", "the candidate answers"),
        ("copy", "it gets copies, its answers go nowhere"),
    )[: 3 if shadow else 2]:
        yield f'<rect class="{style}" x="{across:.0f}" y="{TITLE + 11}" width="12" height="12"/>'
        yield f'<text class="dim" x="{across + 18:.0f}" y="{TITLE + 21}">{words}</text>'
        across += 18 + LETTER * len(words) + 18


def _voyage(fate: Fate, voyage: Voyage, top: float) -> Iterator[str]:
    end = max(voyage.moments[-1].at, 1.0)
    yield from _frame(f"a typical {fate.kind} candidate ({fate.told}): {voyage.end}", top, end)
    yield f'<rect class="old" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{PANEL}"/>'
    for moment, following in zip(voyage.moments, voyage.moments[1:], strict=False):
        x, width = _x(moment.at / end), _x(following.at / end) - _x(moment.at / end)
        for kind, share in (("copy", float(moment.copied)), ("new", moment.weight)):
            if share >= 0.1:
                high = PANEL * share / 100
                yield f'<rect class="{kind}" x="{x:.1f}" y="{top + PANEL - high:.1f}" width="{width:.1f}" height="{high:.1f}"/>'


def _decided(fates: Sequence[Fate], top: float) -> Iterator[str]:
    """How many of the identical ones are accepted, and of the others that matter stopped, by when."""
    curves = [
        (fate, np.sort(fate.when(*ends)), style, said)
        for kind, ends, style, said in (
            (GOOD, (End.ACCEPTED,), "good", "accepted"),
            (BAD, STOPPED, "bad", "stopped"),
            (DRIFTED, STOPPED, "drifted", "stopped"),
        )
        for fate in fates
        if fate.kind == kind
    ]
    end = max((float(np.quantile(times, 0.99)) for _, times, _, _ in curves if len(times)), default=1.0)
    yield from _frame("decided by then:", top, end)
    across = LEFT + 110.0
    for fate, times, style, said in curves:
        runs = len(fate.trials.end)
        points = [(_x(0), top + PANEL)]
        for part in range(101):
            done = float(np.searchsorted(times, end * part / 100, side="right")) / runs
            points.append((_x(part / 100), top + PANEL * (1 - done)))
        course = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        words = f"{fate.kind}: {said}"
        yield f'<path class="{style}" d="M{course}"/>'
        yield f'<path class="{style}" d="M{across:.0f} {top - 12}h20"/>'
        yield f'<text x="{across + 26:.0f}" y="{top - 8}">{escape(words)}</text>'
        across += 26 + LETTER * len(words) + 24
