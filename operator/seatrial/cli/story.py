"""What a person is told in words: where a model is and what they can do; `waits` says what it waits for.

Plain sentences from (reading, now); `view` and `lines` decide how they look.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from seatrial.cli.phases import phase
from seatrial.cli.reading import CheckView, Reading


def span(value: timedelta) -> str:
    """A length of time with two units at most: `8s`, `2m50s`, `3h12m`, `12d`.

    >>> [span(timedelta(seconds=s)) for s in (0.4, 59, 170, 3600, 11520, 90000, 1036800)]
    ['0s', '59s', '2m50s', '1h', '3h12m', '25h', '12d']
    """
    seconds = max(0, int(value.total_seconds()))
    if seconds < 3600:
        minutes, rest = divmod(seconds, 60)
        return f"{minutes}m{rest}s" if minutes and rest else f"{minutes}m" if minutes else f"{rest}s"
    hours, rest = divmod(seconds, 3600)
    if hours < 24:
        return f"{hours}h{rest // 60}m" if rest >= 60 else f"{hours}h"
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"


def ago(then: datetime | None, now: datetime) -> str:
    """`3m ago`, or `just now`; nothing where the time is unknown."""
    if then is None:
        return ""
    past = now - then
    return "just now" if past < timedelta(seconds=1) else f"{span(past)} ago"


def share(percent: float) -> str:
    """A weight in percent: `25`, `33.3`; the entry and exit step of one part in a million is `~0`.

    >>> [share(p) for p in (0, 0.0001, 5, 33.3333, 100)]
    ['0', '~0', '5', '33.3', '100']
    """
    if 0 < percent < 0.05:
        return "~0"
    return f"{percent:.1f}".removesuffix(".0")


def clock(at: datetime, now: datetime) -> str:
    """When something is, as short as it is clear: `15:42 UTC`, or with the day where it is another one."""
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"


def number(count: int) -> str:
    """A count that fits into a table: `950`, `12,410`, `1.11M`.

    >>> [number(n) for n in (0, 950, 12410, 111320, 1110000)]
    ['0', '950', '12,410', '111,320', '1.11M']
    """
    return f"{count / 1e6:.3g}M" if count >= 1_000_000 else f"{count:,}"


def place(r: Reading) -> str:
    """The phase with what is said beside it: `Canary, paused`."""
    overlay = r.overlay
    words = {
        "Paused": "paused",
        "AwaitingApproval": "awaiting approval",
        "Holding": "holding",
        "Blocked": "blocked",
    }
    beside = words.get(overlay.kind, overlay.kind.lower()) if overlay else "paused" if r.paused else ""
    if r.deleting:
        beside = "being deleted"
    return f"{r.phase}, {beside}" if beside else r.phase


def headline(r: Reading) -> str:
    """One sentence: which revision serves, which one is tried and how far it is."""
    return _HEADLINES.get(r.phase, _serving)(r)


def exposure(r: Reading) -> str:
    """What the candidate is exposed to: `25 %` as it is known to be, `a shadow of 20 %`, `its preview`."""
    step = r.steps[r.step]
    if step.kind.live or not phase(r.phase).exposed:
        return f"{share(r.weight(r.candidate, confirmed=True))} %"
    return step.told


def _serving(r: Reading) -> str:
    return f"revision {r.stable} serves" if r.stable else "no revision serves yet"


def _step(r: Reading) -> str:
    return f"step {r.step + 1} of {len(r.steps)}"


def _weight(r: Reading, revision: str) -> str:
    return f"{share(r.weight(revision, confirmed=True))} %"


def _preparing(r: Reading) -> str:
    return f"revision {r.candidate} is being started and checked before it meets traffic; {_serving(r)}"


def _shadow(r: Reading) -> str:
    return (
        f"revision {r.candidate} gets copies of {r.copied} % of live requests, {_step(r)}; "
        f"users get answers of revision {r.stable} only"
    )


def _canary(r: Reading) -> str:
    weight = _weight(r, r.candidate)
    return f"revision {r.candidate} answers {weight} of live requests, {_step(r)}; {_serving(r)} the rest"


def _blue_green(r: Reading) -> str:
    where = "behind its preview" if r.previewed else "in full size"
    stands = "stands ready" if r.step_confirmed else "gets ready"
    return f"revision {r.candidate} {stands} {where} without live traffic, {_step(r)}; {_serving(r)}"


def _promoting(r: Reading) -> str:
    moves = f"all traffic but {r.holdback} %" if r.holdback else "all traffic"
    return f"revision {r.candidate} is accepted, {moves} moves to it"


def _probation(r: Reading) -> str:
    kept = r.probation.previous if r.probation else ""
    if held := r.weight(kept, confirmed=True):
        weight = _weight(r, r.stable)
        return f"revision {r.stable} answers {weight} of live requests on probation, revision {kept} before it {share(held)} %"
    return f"{_serving(r)} on probation; revision {kept} before it is kept"


def _rolling_back(r: Reading) -> str:
    gone = r.candidate or r.leaving
    probation = " from its probation" if r.failed_probation else ""
    return (
        f"revision {gone} is being withdrawn{probation}, it still gets {_weight(r, gone)} of live requests; "
        f"{_serving(r)} the rest"
    )


def _drill(r: Reading) -> str:
    if r.drilled:
        return f"{_serving(r)}; the copy that a drill sent back is at the minimum, and its requests are counted"
    does = "is being withdrawn, it still gets" if r.going_back else "answers"
    return f"going back is practised: {r.candidate}, a copy of {r.stable}, {does} {_weight(r, r.candidate)} of live requests"


def _rolled_back(r: Reading) -> str:
    probation = " from its probation" if r.failed_probation else ""
    return f"revision {r.rejected or r.candidate} was sent back{probation}; {_serving(r)}"


_HEADLINES: dict[str, Callable[[Reading], str]] = {
    "Pending": lambda _: "nothing has been decided yet",
    "Preparing": _preparing,
    "Shadow": _shadow,
    "Canary": _canary,
    "BlueGreen": _blue_green,
    "Promoting": _promoting,
    "Probation": _probation,
    "Stable": _serving,
    "RollingBack": _rolling_back,
    "RolledBack": _rolled_back,
    "Failed": lambda r: f"the first revision {r.rejected or r.candidate} never served",
    "Suspended": lambda r: f"suspended: the operator writes nothing but status (spec.suspend is set); {_serving(r)}",
    "Drill": _drill,
    "Parked": lambda _: "parked: nothing serves (spec.replicas is 0)",
}


def sentence(check: CheckView) -> str:
    """A check's own sentence, with its name in front where it does not begin with it."""
    message = check.message or "no verdict yet"
    return message if message.startswith(check.name) else f"{check.name}: {message}"


def paused(r: Reading) -> str:
    """Who paused, and why."""
    why = f" ({r.paused_reason})" if r.paused_reason else ""
    return f"paused by {r.paused_by or 'somebody'}{why}"


def next_steps(r: Reading, command: str) -> list[tuple[str, str]]:
    """What a person can do now: (command line, what it does)."""
    where = f"{r.name} -n {r.namespace}" if r.namespace else r.name
    if r.suspended:
        return [(f'kubectl patch md {where} --type merge -p \'{{"spec":{{"suspend":false}}}}\'', "let it go on")]
    if phase(r.phase).badly:
        return [
            ("kubectl apply -f …", "a corrected revision is tried as soon as it is applied"),
            (f"{command} retry {where}", "try the same revision again"),
        ]
    if r.phase == "Parked":
        return [(f"kubectl scale md {where} --replicas 1", "let it serve again")]
    if r.probation:
        return [(f"{command} undo {where}", f"bring revision {r.probation.previous} back, without a trial")]
    if not r.on_trial or r.going_back or r.promoting:
        return []
    if r.drilling:
        return [(f"{command} abort {where}", "end the drill now")]
    return _steering(r, command, where)


def _steering(r: Reading, command: str, where: str) -> list[tuple[str, str]]:
    """What can be asked for in the middle of a trial."""
    last = r.step == len(r.steps) - 1
    out = []
    if r.overlay and r.overlay.kind == "AwaitingApproval":
        flips = ": all traffic moves to it" if last and r.exposed else ""
        out.append((f"{command} approve {where}", f"pass this gate{flips}"))
    if r.paused:
        out.append((f"{command} resume {where}", "let it go on"))
    else:
        if phase(r.phase).exposed and not last and not r.promote_asked:
            out.append((f"{command} promote {where}", "skip to the last step; acceptance is judged as always"))
        out.append((f"{command} pause {where}", "stop advancing"))
    return [*out, (f"{command} abort {where}", "send it back" if r.stable else "give it up")]
