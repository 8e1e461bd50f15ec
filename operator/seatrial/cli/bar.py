"""A share of the whole as a bar that fills the room it is given."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style


class Bar:
    """A share of the whole: confirmed as full blocks, what is wanted beyond it, or still held, as shade.

    Copies are a lighter shade: nobody is answered with them.
    """

    def __init__(
        self, confirmed: float, wanted: float, style: str, *, copied: float = 0, width: int | None = None
    ) -> None:
        self.confirmed, self.wanted, self.style, self.copied, self.width = confirmed, wanted, style, copied, width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw at the width that is there."""
        width = min(options.max_width, self.width or options.max_width)
        low, high = sorted((self.confirmed, self.wanted))
        full = _cells(low, width)
        upto = max(full, _cells(high, width))
        yield Segment("█" * full, Style.parse(self.style))
        yield Segment("▒" * (upto - full), Style.parse(self.style))
        copies = max(upto, _cells(self.copied, width))
        yield Segment("░" * (copies - upto), Style.parse(self.style))
        yield Segment("·" * (width - copies), Style.parse("dim"))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as there is room for, ten columns at least."""
        return Measurement(min(10, options.max_width), min(self.width or options.max_width, options.max_width))


def _cells(percent: float, width: int) -> int:
    """Whole cells for a share; anything above nothing shows as one cell, anything below all leaves one."""
    cells = round(width * max(0.0, min(100.0, percent)) / 100)
    if percent > 0:
        cells = max(1, cells)
    return min(cells, width - 1) if percent < 100 else width
