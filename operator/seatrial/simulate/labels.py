"""Numbers that come long after their requests: what they make of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from seatrial.api.base import format_duration
from seatrial.core.checks import answers_in, counts_elsewhere, needs_control
from seatrial.core.checks.forecast import told
from seatrial.simulate.course import Course


def late(course: Course, delays: Mapping[str, float], *, all_late: bool) -> Iterator[str]:
    """Sentences about checks whose events come later than the plan has time for; with `all_late` their requests do too."""
    for check in (*course.checks, *course.means):
        delay = delays.get(check.name, 0.0)
        if delay <= 0 or not counts_elsewhere(check):
            continue
        so_long, what = told(delay), "share" if check.mean is None else "mean"
        asked = [leg for leg in course.legs if leg.judged and answers_in(check, leg.kind)]
        short = next((leg for leg in asked if leg.max_duration.total_seconds() <= delay), None)
        quick = [leg for leg in asked if leg.min_duration.total_seconds() < delay]
        if not all_late:
            yield (
                f"check {check.name}: what it counts (`of`) comes {so_long} after `per`, which is counted at once: for {so_long} after "
                f"each rise of the weight the candidate's {what} looks too low. Count both when it is known what came of a request "
                "(docs/kpi.md); --per-late simulates that"
            )
        elif short is not None:
            yield (
                f"check {check.name}: {short.told()} ends undecided after {format_duration(short.max_duration)}, and the first number of "
                f"its requests comes after {so_long}: give it a longer maxDuration"
            )
        elif quick and quick[0] is asked[0]:
            yield (
                f"check {check.name}: nothing of the candidate is counted in its first {so_long}: {quick[0].told()} waits that long, "
                f"not {format_duration(quick[0].min_duration)}"
            )
        if (left := _unjudged(course, delay, alone=needs_control(check))) is not None:
            yield f"check {check.name}: what comes of the last {so_long} before the acceptance is judged by nobody: {left}"


def _unjudged(course: Course, delay: float, *, alone: bool) -> str | None:
    """Why the latest labels find nobody who looks, and what to do."""
    if course.probation.total_seconds() <= delay:
        has = (
            f"the probation lasts {format_duration(course.probation)}" if course.probation else "there is no probation"
        )
        return (
            f"{has}; have one of more than {told(delay)}{' with a holdback' if alone and not course.holdback else ''}"
        )
    if alone and not course.holdback:
        return "on probation stable answers nothing beside it; set probation.holdback"
    return None
