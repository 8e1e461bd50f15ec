"""What stands between now and the next decision: a person, pods, the router, time, or evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from seatrial.cli.estimate import about, estimate
from seatrial.cli.phases import phase
from seatrial.cli.reading import Reading
from seatrial.cli.story import clock, exposure, paused, sentence, share, span

_THEN = {"Pause": "it pauses", "Rollback": "it is sent back"}


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing that stands between now and the next decision."""

    kind: Literal["operator", "person", "pods", "gateway", "endpoints", "time", "check"]
    text: str


def waits_for(r: Reading, now: datetime) -> list[Wait]:
    """Everything that stands between now and the next decision, most decisive first."""
    if not r.told or (r.phase == "Pending" and not r.stalled):
        return [Wait("operator", "the operator has not looked at it yet")]
    out = []
    if r.behind:
        text = f"the operator has not seen generation {r.generation} of the spec yet, it knows {r.observed_generation}"
        out.append(Wait("operator", text))
    if r.stalled and not phase(r.phase).badly:
        out.append(Wait("person", r.stalled.message or r.stalled.reason))
    overlay = r.overlay
    if overlay:
        times = [f"{span(now - overlay.since)} so far"] if overlay.since else []
        times += [f"{_until(overlay.deadline, now)}: {overlay.then}"] if overlay.deadline else []
        out.append(Wait("person", overlay.message.rstrip(".") + (f" ({', '.join(times)})" if times else "")))
    elif r.paused:
        so_far = f" ({span(now - r.paused_since)} so far)" if r.paused_since else ""
        out.append(Wait("person", f"{paused(r)}{so_far}"))
    of_phase = _PHASES.get(r.phase)
    return out + (of_phase(r, now) if of_phase else [])


def _preparing(r: Reading, now: datetime) -> list[Wait]:
    for revision in r.revisions:
        if revision.name == r.candidate and revision.ready < revision.replicas:
            left = r.deadline_left(now)
            limit = "" if left is None else f"; {span(left)} until it is given up for that"
            return [Wait("pods", f"ready pods: {revision.ready} of {revision.replicas}{limit}")]
    return [] if r.overlay else [Wait("pods", "recorded requests, if there are any, and the way to its pods")]


def _exposed(r: Reading, now: datetime) -> list[Wait]:
    """On a step: first its exposure has to be in force, then time and evidence have to speak for the next one."""
    step = r.steps[r.step]
    if r.step_confirmed is None:
        copies = f"the gateway to confirm copies of {r.copied} % for the candidate" if r.copied else ""
        if text := _confirmation(r) or copies:
            return [Wait(r.carrier, text)]
        return [] if r.overlay else [Wait("pods", f"ready pods for {step.told}")]
    left = r.left(now)
    open_ = [check for check in r.checks if check.outcome not in ("Pass", "")] if step.kind.judged else []
    out = []
    if left:
        stands = ", the clock stands still" if r.clock_stands else ""
        out.append(
            Wait("time", f"{span(left)} more at {exposure(r)} (at least {span(step.minimum)}{stands}){_then(r)}")
        )
    out += [Wait("check", sentence(check)) for check in open_]
    if open_ and (told := through(r, now)):
        out.append(Wait("time", told))
    longest = r.longest_left(now)
    if open_ and not left and longest is not None and r.on_undecided in _THEN:
        out.append(Wait("time", f"a decision within {span(longest)}: else {_THEN[r.on_undecided]}"))
    return out


def through(r: Reading, now: datetime) -> str:
    """When the present step is through, as far as that can be known and is more than its least time."""
    found = estimate(r, now)
    if found is None or not found.check:
        return ""
    left, longest = about(found.left), r.longest_left(now)
    late = longest is not None and found.left > longest
    but = f", which is more than the {span(longest)} that the step has left" if late and longest is not None else ""
    return f"{place_of(r)} in all: about {span(left)} more at today's rate, until {clock(now + left, now)}, for {found.check}{but}"


def place_of(r: Reading) -> str:
    """Which step it is."""
    return f"step {r.step + 1} of {len(r.steps)}"


def _then(r: Reading) -> str:
    """What follows on the present step where that is more than the next weight."""
    step = r.steps[r.step]
    if step.approval == "ToLeave" and not any(gate == f"{r.step}/ToLeave" for gate in r.approved):
        return ", then an approval"
    flips = r.step == len(r.steps) - 1 and not step.kind.live
    return ", then all traffic moves to it at once" if flips else ""


def _promoting(r: Reading, _now: datetime) -> list[Wait]:
    return [Wait(r.carrier, _confirmation(r) or "requests in flight on the old revision")]


def _probation(r: Reading, now: datetime) -> list[Wait]:
    if r.probation is None or r.probation.until is None:
        return []
    ends = f"the end of the probation {_until(r.probation.until, now)}, at {clock(r.probation.until, now)}"
    return [Wait("time", f"{ends}; what fails before brings revision {r.probation.previous} back by itself")]


def _rolling_back(r: Reading, _now: datetime) -> list[Wait]:
    missing = [rev for rev in r.revisions if rev.name == r.stable and rev.ready < rev.replicas]
    pods = [Wait("pods", f"ready pods of revision {rev.name}: {rev.ready} of {rev.replicas}") for rev in missing]
    if pods and r.weight(r.candidate or r.leaving, confirmed=False):
        return [Wait("pods", f"{pods[0].text}; traffic follows as they get ready")]
    return [*pods, Wait(r.carrier, _confirmation(r) or "requests in flight on the candidate")]


def _drill(r: Reading, now: datetime) -> list[Wait]:
    if r.drilled:
        return [Wait("check", "the last answers of the copy, and the scrapes that count them")]
    if r.going_back:
        return _rolling_back(r, now)
    if not r.exposed:
        return _preparing(r, now)
    return [Wait("check", sentence(check)) for check in r.checks] if r.step_confirmed else _rolling_back(r, now)


_PHASES: dict[str, Callable[[Reading, datetime], list[Wait]]] = {
    "Preparing": _preparing,
    "Shadow": _exposed,
    "Canary": _exposed,
    "BlueGreen": _exposed,
    "Promoting": _promoting,
    "Probation": _probation,
    "RollingBack": _rolling_back,
    "Drill": _drill,
}


def _confirmation(r: Reading) -> str:
    """What the router has yet to confirm, if anything."""
    confirmed, wanted = (r.weight(r.candidate, confirmed=value) for value in (True, False))
    if confirmed != wanted:
        return f"the {r.carrier} to confirm {share(wanted)} % for the candidate (confirmed: {share(confirmed)} %)"
    return ""


def _until(at: datetime, now: datetime) -> str:
    return f"in {span(at - now)}" if at > now else "now"
