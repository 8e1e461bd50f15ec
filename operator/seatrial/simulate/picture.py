"""The report as a picture: a typical trial of two candidates, and how many are decided by when. Plain SVG, no library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

import numpy as np

from seatrial.core.checks.forecast import told
from seatrial.simulate.course import Course
from seatrial.simulate.fleet import End
from seatrial.simulate.report import Fate
from seatrial.simulate.world import Voyage

WIDTH, LEFT, RIGHT = 760, 56, 14
PANEL, GAP, TOP = 110, 62, 56
STYLE = """
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1f2328}
.dim{fill:#59636e}.title{font-size:14px;font-weight:600}.page{fill:#fff}.old{fill:#9dc3ee}.new{fill:#e8833a}
.copy{fill:#f3c39d}.line{stroke:#b4bcc5;fill:none}.good{stroke:#2f5f96;fill:none;stroke-width:2}
.bad{stroke:#c2410c;fill:none;stroke-width:2}
@media (prefers-color-scheme:dark){
text{fill:#f0f6fc}.dim{fill:#9ea7b3}.page{fill:#0d1117}.old{fill:#2f5f96}.new{fill:#d9752b}.copy{fill:#7a4a26}
.line{stroke:#59636e}.good{stroke:#79b0f0}.bad{stroke:#ffb27a}
}
""".strip()


def draw(course: Course, fates: Sequence[Fate]) -> str:
    """The whole picture."""
    sailed = [fate for fate in fates if fate.typical is not None]
    height = TOP + (len(sailed) + 1) * (PANEL + GAP)
    title = f"{course.name}: trials of {', '.join(leg.told() for leg in course.legs)}"
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
            f'<text class="title" x="{LEFT}" y="22">{escape(title)}</text>',
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
    for quarter in range(5):
        x, anchor = _x(quarter / 4), "end" if quarter == 4 else "middle"
        yield f'<path class="line" d="M{x:.1f} {top + PANEL}V{top + PANEL + 4}"/>'
        label = "0" if quarter == 0 else told(end * quarter / 4)
        yield f'<text class="dim" x="{x:.1f}" y="{top + PANEL + 18}" text-anchor="{anchor}">{label}</text>'


def _voyage(fate: Fate, voyage: Voyage, top: float) -> Iterator[str]:
    end = max(voyage.moments[-1].at, 1.0)
    yield from _frame(
        f"a typical {fate.kind} candidate ({fate.told}): {voyage.end}; live requests that it answers", top, end
    )
    yield f'<rect class="old" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{PANEL}"/>'
    for moment, following in zip(voyage.moments, voyage.moments[1:], strict=False):
        x, width = _x(moment.at / end), _x(following.at / end) - _x(moment.at / end)
        for kind, share in (("copy", float(moment.copied)), ("new", moment.weight)):
            if share >= 0.1:
                high = PANEL * share / 100
                yield f'<rect class="{kind}" x="{x:.1f}" y="{top + PANEL - high:.1f}" width="{width:.1f}" height="{high:.1f}"/>'


def _decided(fates: Sequence[Fate], top: float) -> Iterator[str]:
    """How many of the identical ones are accepted, and of the bad ones sent back, by when."""
    curves = [
        (fate, np.sort(fate.when(End.ACCEPTED) if style == "good" else fate.when(End.BACK, End.BACK_LATER)), style)
        for fate, style in ((fates[0], "good"), (fates[-1], "bad"))
    ]
    end = max((float(np.quantile(times, 0.99)) for _, times, _ in curves if len(times)), default=1.0)
    yield from _frame("decided by then", top, end)
    for index, (fate, times, style) in enumerate(curves):
        runs = len(fate.trials.end)
        points = [(_x(0), top + PANEL)]
        for part in range(101):
            at = end * part / 100
            done = float(np.searchsorted(times, at, side="right")) / runs
            points.append((_x(part / 100), top + PANEL * (1 - done)))
        course = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        yield f'<path class="{style}" d="M{course}"/>'
        said = "accepted" if style == "good" else "sent back"
        yield f'<text x="{WIDTH - RIGHT}" y="{top - 8 - 16 * index}" text-anchor="end">{escape(f"{fate.kind}: {said}")}</text>'
        yield f'<path class="{style}" d="M{WIDTH - RIGHT - 190} {top - 12 - 16 * index}h20"/>'
