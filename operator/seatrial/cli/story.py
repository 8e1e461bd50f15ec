"""What a person is told in words: where a model is, what it waits for, what they can do.

Plain sentences from (reading, now); `view` and `lines` decide how they look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from seatrial.cli.reading import CheckView, Reading

DECIDED_WELL = frozenset({"Stable", "Parked"})
DECIDED_BADLY = frozenset({"RolledBack", "Failed"})


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
    serving = f"revision {r.stable} serves" if r.stable else "no revision serves yet"
    on = f"revision {r.candidate}"
    weight = share(r.weight(r.candidate, confirmed=True))
    sentences = {
        "Pending": "nothing has been decided yet",
        "Preparing": f"{on} is being started and checked before it meets traffic; {serving}",
        "Canary": f"{on} answers {weight} % of live requests, step {r.step + 1} of {len(r.steps)}; {serving} the rest",
        "Promoting": f"{on} is accepted, all traffic moves to it",
        "Stable": serving,
        "RollingBack": f"{on} is being withdrawn, it still gets {weight} % of live requests",
        "RolledBack": f"revision {r.rejected or r.candidate} was sent back; {serving}",
        "Failed": f"the first revision {r.rejected or r.candidate} never served",
        "Suspended": f"suspended: the operator writes nothing but status (spec.suspend is set); {serving}",
        "Parked": "parked: nothing serves (spec.replicas is 0)",
    }
    return " ".join(sentences.get(r.phase, serving).split())


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing that stands between now and the next decision."""

    kind: Literal["operator", "person", "pods", "gateway", "time", "check"]
    text: str


def waits_for(r: Reading, now: datetime) -> list[Wait]:
    """Everything that stands between now and the next decision, most decisive first."""
    if not r.told or (r.phase == "Pending" and not r.stalled):
        return [Wait("operator", "the operator has not looked at it yet")]
    out = []
    if r.behind:
        text = f"the operator has not seen generation {r.generation} of the spec yet, it knows {r.observed_generation}"
        out.append(Wait("operator", text))
    if r.stalled and r.phase not in DECIDED_BADLY:
        out.append(Wait("person", r.stalled.message or r.stalled.reason))
    overlay = r.overlay
    if overlay:
        times = [f"{span(now - overlay.since)} so far"] if overlay.since else []
        times += [f"{_until(overlay.deadline, now)}: {overlay.then}"] if overlay.deadline else []
        out.append(Wait("person", overlay.message.rstrip(".") + (f" ({', '.join(times)})" if times else "")))
    elif r.paused:
        out.append(
            Wait("person", f"{paused(r)} ({span(now - r.paused_since)} so far)" if r.paused_since else paused(r))
        )
    if r.phase == "Preparing":
        out += _preparing(r, now)
    elif r.phase == "Canary":
        out += _canary(r, now)
    elif r.phase == "Promoting":
        out.append(Wait("gateway", _confirmation(r) or "requests in flight on the old revision"))
    elif r.phase == "RollingBack":
        out.append(Wait("gateway", _confirmation(r) or "requests in flight on the candidate"))
    return out


def _preparing(r: Reading, now: datetime) -> list[Wait]:
    for revision in r.revisions:
        if revision.name == r.candidate and revision.ready < revision.replicas:
            left = r.deadline_left(now)
            limit = "" if left is None else f"; {span(left)} until it is given up for that"
            return [Wait("pods", f"ready pods: {revision.ready} of {revision.replicas}{limit}")]
    return [] if r.overlay else [Wait("pods", "recorded requests, if there are any, and the way to its pods")]


def _canary(r: Reading, now: datetime) -> list[Wait]:
    if r.step_confirmed is None:
        text = _confirmation(r)
        if text:
            return [Wait("gateway", text)]
        return [] if r.overlay else [Wait("pods", f"ready pods for {r.steps[r.step].weight} %")]
    out = []
    left = r.left(now)
    if left:
        stands = ", the clock stands still" if r.clock_stands else ""
        weight = share(r.weight(r.candidate, confirmed=True))
        out.append(Wait("time", f"{span(left)} more at {weight} % (at least {span(r.steps[r.step].minimum)}{stands})"))
    return out + [Wait("check", sentence(check)) for check in r.checks if check.outcome not in ("Pass", "")]


def _confirmation(r: Reading) -> str:
    """What the gateway has yet to confirm, if anything."""
    confirmed, wanted = (r.weight(r.candidate, confirmed=value) for value in (True, False))
    if confirmed == wanted:
        return ""
    return f"the gateway to confirm {share(wanted)} % for the candidate (confirmed: {share(confirmed)} %)"


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
    overlay = r.overlay.kind if r.overlay else ""
    if r.suspended:
        return [(f'kubectl patch md {where} --type merge -p \'{{"spec":{{"suspend":false}}}}\'', "let it go on")]
    if r.phase in {"RolledBack", "Failed"}:
        return [
            ("kubectl apply -f …", "a corrected revision is tried as soon as it is applied"),
            (f"{command} retry {where}", "try the same revision again"),
        ]
    if r.phase == "Parked":
        return [(f"kubectl scale md {where} --replicas 1", "let it serve again")]
    if not r.on_trial or r.going_back or r.promoting:
        return []
    out = []
    if overlay == "AwaitingApproval":
        out.append((f"{command} approve {where}", "pass this gate"))
    if r.paused:
        out.append((f"{command} resume {where}", "let it go on"))
    if r.phase == "Canary" and not r.paused and not r.promote_asked:
        out.append((f"{command} promote {where}", "skip to the last step; acceptance is judged as always"))
    if not r.paused:
        out.append((f"{command} pause {where}", "stop advancing"))
    return [*out, (f"{command} abort {where}", "send it back" if r.stable else "give it up")]


def _until(at: datetime, now: datetime) -> str:
    return f"in {span(at - now)}" if at > now else "now"
