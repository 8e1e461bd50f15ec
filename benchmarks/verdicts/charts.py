"""Small charts as SVG, in the manner of docs/pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 760, 250, 30
LIGHT = """
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1f2328}
.dim{fill:#59636e}.title{font-size:14px;font-weight:600}.page{fill:#fff}.a{fill:#e8833a}.b{fill:#9dc3ee}.c{fill:#5b7fa6}
.dot{fill-opacity:.55}.line{stroke:#b4bcc5;fill:none}.mark{stroke:#1f2328;stroke-dasharray:3 3;fill:none}
""".strip()
DARK = """
text{fill:#f0f6fc}.dim{fill:#9ea7b3}.page{fill:#0d1117}.b{fill:#2f5f96}.c{fill:#7fa8d6}.line{stroke:#59636e}.mark{stroke:#f0f6fc}
""".strip()
STYLE = f"{LIGHT}\n@media (prefers-color-scheme:dark){{\n{DARK}\n}}"


def strips(title: str, rows: Mapping[str, Sequence[float]], ours: int) -> str:
    """Shares from 0 to 1 on a logarithmic axis, a row of dots for each name, the first ones `ours`.

    Those below 0.1 % stand at the left end.
    """
    least, height = 1e-3, 60 + 44 * len(rows)

    def x(share: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(max(share, least) / least) / math.log(1 / least))

    def body() -> Iterator[str]:
        bottom = height - 40
        for share, told in ((1e-3, "≤ 0.1 %"), (1e-2, "1 %"), (1e-1, "10 %"), (1.0, "100 %")):
            yield f'<path class="{"mark" if share == 1e-2 else "line"}" d="M{x(share):.1f} 34V{bottom}"/>'
            yield f'<text class="dim" x="{x(share):.1f}" y="{bottom + 18}" text-anchor="middle">{told}</text>'
        for index, (name, shares) in enumerate(rows.items()):
            y = 54 + 44 * index
            yield f'<text x="{LEFT - 14}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
            for at, share in enumerate(sorted(shares)):
                # Dots of equal shares stand in several lines, or one could not tell one from fifty.
                yield f'<circle class="{"a" if index < ours else "b"} dot" cx="{x(share):.1f}" cy="{y + (at % 7 - 3) * 4}" r="3.5"/>'

    worst = "; ".join(f"{name}: worst cell {100 * max(shares):.3g} %" for name, shares in rows.items())
    return _svg(title, worst, height, body())


def scatter(title: str, points: Sequence[tuple[float | None, float | None, bool]]) -> str:
    """Minutes here against minutes of the sketch, both logarithmic; what is not found within the hour stands at its end."""
    side, left, top, most = 330, 70, 40, 60.0
    least = 0.2

    def place(minutes: float | None) -> float:
        inside = most * 2.5 if minutes is None else max(least, minutes)
        return side * math.log(inside / least) / math.log(most * 2.5 / least)

    def body() -> Iterator[str]:
        for minutes in (0.25, 1.0, 5.0, 15.0, 60.0, None):
            told, at = ("never" if minutes is None else f"{minutes:g}"), place(minutes)
            yield f'<path class="line" d="M{left + at:.1f} {top}V{top + side}M{left} {top + side - at:.1f}H{left + side}"/>'
            yield f'<text class="dim" x="{left + at:.1f}" y="{top + side + 18}" text-anchor="middle">{told}</text>'
            yield f'<text class="dim" x="{left - 8}" y="{top + side - at + 4:.1f}" text-anchor="end">{told}</text>'
        yield f'<path class="mark" d="M{left} {top + side}L{left + side} {top}"/>'
        for ours, sketch, keeps in points:
            kind = "a" if keeps else "c"
            yield f'<circle class="{kind} dot" cx="{left + place(sketch):.1f}" cy="{top + side - place(ours):.1f}" r="4.5"/>'
        yield f'<text x="{left + side / 2}" y="{top + side + 38}" text-anchor="middle">minutes, first sketch</text>'
        yield f'<text x="{left + side + 30}" y="{top + 14}">up: minutes, Seatrial</text>'
        for line, (kind, said) in enumerate(
            (
                ("a", "the sketch keeps 1 % wrong rollbacks there"),
                ("c", "the sketch does not"),
            )
        ):
            y = top + 44 + 24 * line
            yield f'<circle class="{kind} dot" cx="{left + side + 36}" cy="{y}" r="4.5"/>'
            yield f'<text x="{left + side + 48}" y="{y + 4}">{said}</text>'
        yield f'<text class="dim" x="{left + side + 30}" y="{top + 108}">below the dashed line Seatrial is quicker,</text>'
        yield f'<text class="dim" x="{left + side + 30}" y="{top + 126}">above it the sketch</text>'

    slower = sum(_slower(ours, sketch) for ours, sketch, _ in points)
    return _svg(title, f"{len(points)} cells; the sketch is quicker in {slower}", top + side + 52, body())


def _slower(ours: float | None, sketch: float | None) -> bool:
    return sketch is not None and (ours is None or ours > sketch)


def bars(
    title: str,
    groups: Sequence[str],
    rows: Mapping[str, Sequence[float | None]],
    told: Callable[[float], str] = "{:.1f}".format,
) -> str:
    """Numbers by group, a bar for each name."""
    most = max((number for row in rows.values() for number in row if number is not None), default=0.0) or 1.0
    bar, height = 22, 50 + len(groups) * (22 * len(rows) + 18)

    def body() -> Iterator[str]:
        for at, group in enumerate(groups):
            top = 44 + at * (bar * len(rows) + 18)
            yield f'<text x="20" y="{top + bar * len(rows) / 2 + 4:.1f}">{escape(group)}</text>'
            for index, (name, row) in enumerate(rows.items()):
                y, number = top + bar * index, row[at]
                width = (WIDTH - LEFT - 70) * (1.0 if number is None else number / most)
                said = "not found" if number is None else told(number)
                yield f'<text class="dim" x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>'
                yield f'<rect class="{"abc"[index]}" x="{LEFT}" y="{y + 2}" width="{width:.1f}" height="{bar - 4}"/>'
                yield f'<text x="{LEFT + width + 6:.1f}" y="{y + 15}">{said}</text>'

    story = "; ".join(f"{name}: {', '.join('–' if m is None else told(m) for m in row)}" for name, row in rows.items())
    return _svg(title, story, height, body())


def _svg(title: str, story: str, height: float, body: Iterable[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}"',
            'role="img" aria-labelledby="title story">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="story">{escape(story)}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH}" height="{height:g}"/>',
            f'<text class="title" x="20" y="22">{escape(title)}</text>',
            *body,
            "</svg>",
            "",
        ]
    )
