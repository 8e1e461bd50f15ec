"""Asking the operator for something: is it sensible, write it down, see what became of it."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TextIO

from seatrial.cli.access import COMMANDS, Cluster, HttpError, Object
from seatrial.cli.errors import CLUSTER, NOT_YET, OK, SENT_BACK, CliError
from seatrial.cli.raw import parse_time
from seatrial.cli.reading import Reading
from seatrial.cli.story import exposure, headline, paused
from seatrial.core.commands import Action, Command, append

ATTEMPTS = 10
"""Times the annotation is written again when the object changed meanwhile; status changes often in a trial."""
PATIENCE = 10.0
"""Seconds to wait for the operator to react."""
POLL = 0.3
EVENT_PATIENCE = 3.0
"""Seconds to wait for the event that explains a refusal; events are posted after the status."""


class Pointless(Exception):  # noqa: N818 - not an error
    """What was asked for is the case already."""


def target(r: Reading, action: Action, word: str = "") -> str:
    """The revision that this action is about now; `word` is what the person called it.

    Raises CliError with the reason where the action makes no sense in this phase, and Pointless where
    nothing would change. The operator decides again by itself: this only spares people the wait.
    """
    if r.suspended:
        raise _no(r, word or action, "spec.suspend is set, and nothing is carried out while it is")
    if action is Action.RETRY and r.contested:
        return r.candidate or r.stable
    if action is Action.RETRY:
        if not r.rejected:
            raise _no(r, word or action, f"no revision was sent back: {headline(r)}")
        return r.rejected
    if action in (Action.ABORT, Action.ACCEPT) and r.probation:
        return r.stable
    if action is Action.DRILL:
        return _drilled(r, word or action)
    if r.drilling and action is not Action.ABORT:
        raise _no(r, word or action, "a drill is under way, which ends by itself; seatrial abort ends it now")
    if not r.on_trial:
        wait = "; the operator has not seen the newest spec yet, try again in a moment" if r.behind else ""
        raise _no(r, word or action, f"no trial is under way: {headline(r)}{wait}{_by_spec(r, action)}")
    if r.going_back:
        if action is Action.ABORT:
            raise Pointless(f"{r.name}: revision {r.candidate} is going back already: {r.back_message}")
        raise _no(r, word or action, f"revision {r.candidate} is going back: {r.back_message}")
    overlay = r.overlay.kind if r.overlay else ""
    if action is Action.PAUSE and r.paused:
        raise Pointless(f"{r.name} is paused already: {paused(r)}")
    if action is Action.RESUME and not r.paused:
        beside = f"; it is waiting for something else: {r.overlay.message}" if r.overlay else ""
        raise _no(r, word or action, f"it is not paused{beside}")
    if action is Action.APPROVE and overlay != "AwaitingApproval":
        raise _no(r, word or action, f"nothing waits for an approval now: {headline(r)}")
    if action is Action.PROMOTE:
        failing = [check for check in r.checks if check.outcome == "Fail" and not check.advisory]
        if failing:
            raise _no(r, word or action, f"check {failing[0].name} fails: {failing[0].message}")
        if r.promoting:
            raise Pointless(f"{r.name}: revision {r.candidate} is accepted already, all traffic moves to it")
    if action is Action.SKIP_CHECKS and r.checks_skipped:
        raise Pointless(f"{r.name}: the checks of revision {r.candidate} are skipped already")
    if action is Action.SKIP_CHECKS and not r.stable:
        raise _no(r, word or action, "a first revision is accepted on its pods and its recorded requests")
    return r.candidate


def _drilled(r: Reading, word: str) -> str:
    """The revision that a drill would copy."""
    if r.drilling or r.drill_asked:
        raise _no(r, word, "a drill is under way already" if r.drilling else "a drill waits for its turn already")
    if r.on_trial or r.phase not in ("Stable", "Parked") or not r.stable:
        raise _no(r, word, f"a drill begins at rest: {headline(r)}")
    return r.stable


def ask(
    cluster: Cluster,
    name: str,
    action: Action,
    reason: str,
    *,
    word: str = "",
    wait: bool,
    now: Callable[[], datetime],
    out: TextIO,
    err: TextIO,
) -> int:
    """Write the command down and, with `wait`, print what became of it."""
    by = ""
    nonce = secrets.token_hex(5)
    for attempt in range(ATTEMPTS):
        obj = cluster.get(name)
        before = Reading(obj)
        try:
            revision = target(before, action, word)
        except Pointless as already:
            print(already, file=out)
            return OK
        by = by or cluster.whoami()
        asked = now()
        text = append(_annotation(obj), Command(nonce, action, revision, by, reason))
        try:
            cluster.annotate(name, COMMANDS, text, obj)
            break
        except HttpError as error:
            # 409: somebody wrote at the same moment. 422: the test in our patch saw another version.
            if error.code not in (409, 422) or cluster.get(name)["metadata"]["resourceVersion"] == _version(obj):
                raise cluster.explain(error, "patch", f"ModelDeployment {name}") from None
            time.sleep(random.uniform(0, 0.05 * (attempt + 1)))
    else:
        raise CliError(f"{name} changed {ATTEMPTS} times while {action} was being written: try again", CLUSTER)
    if not wait:
        print(
            f"{name}: {action} asked for as {by} (revision {revision}); `seatrial why {name}` tells the rest", file=out
        )
        return OK
    after = _acknowledged(cluster, name, nonce)
    if after is None:
        raise CliError(
            f"{action} is on record, but the operator has not picked this up after {PATIENCE:g} s: is it running? "
            "kubectl get deploy -A -l app.kubernetes.io/name=seatrial. It will be carried out when the operator is "
            "back",
            NOT_YET,
        )
    return _report(cluster, name, action, after, by, asked, out, err, reason)


def _acknowledged(cluster: Cluster, name: str, nonce: str) -> Reading | None:
    end = time.monotonic() + PATIENCE
    while True:
        reading = Reading(cluster.get(name))
        if nonce in reading.commands:
            return reading
        if time.monotonic() > end:
            return None
        time.sleep(POLL)


def _report(
    cluster: Cluster,
    name: str,
    action: Action,
    after: Reading,
    by: str,
    asked: datetime,
    out: TextIO,
    err: TextIO,
    reason: str,
) -> int:
    outcome = done(action, after, reason)
    if outcome:
        print(f"{name}: {outcome}", file=out)
        return OK
    # Acknowledged without the effect: refused, or overtaken by a later decision. The event says which.
    end = time.monotonic() + EVENT_PATIENCE
    while True:
        refusal = _refusal(cluster.events(name), action, by, asked)
        if refusal or time.monotonic() > end:
            break
        time.sleep(POLL)
    # The operator does not repeat an event that it posted in the last ten minutes.
    refusal = refusal or _refusal(cluster.events(name), action, by, asked - timedelta(minutes=10))
    why = refusal or f"the operator did not carry it out. {after.message}"
    print(f"{name}: {why}\n{name}: {headline(after)}", file=err)
    return SENT_BACK


def done(action: Action, r: Reading, reason: str = "") -> str:
    """What can be seen of a command that was carried out, as a sentence; empty where nothing can be seen. The `reason` of an
    acceptance begins with the name of its check."""
    revision = f"revision {r.candidate}"
    if action is Action.PAUSE and r.paused:
        return f"{paused(r)} at {exposure(r)}; failures still send the candidate back"
    if action is Action.RESUME and r.on_trial and not r.paused:
        return f"{revision} goes on: {headline(r)}"
    waiting = r.overlay is not None and r.overlay.kind == "AwaitingApproval"
    if action is Action.APPROVE and not waiting and (r.approved or not r.on_trial or r.promoting):
        return f"approved: {headline(r)}"
    if action is Action.PROMOTE and (r.promote_asked or r.promoting or r.phase in ("Stable", "Probation")):
        return f"the remaining steps are skipped, acceptance is judged at the last one: {headline(r)}"
    if action is Action.SKIP_CHECKS and (r.checks_skipped or r.phase in ("Stable", "Probation")):
        return f"the checks are skipped, all traffic moves to {revision} once its pods are ready: {headline(r)}"
    if action is Action.ABORT and (r.back_reason == "Aborted" or (r.phase in ("RolledBack", "Failed") and r.rejected)):
        return f"aborted: {headline(r)}"
    if action is Action.ACCEPT and (accepted := r.accepted.get(reason.partition(" ")[0])):
        return f"{accepted}: {headline(r)}"
    if action is Action.DRILL and (r.drilling or r.drill_asked):
        return f"a copy of revision {r.stable} goes on trial and is failed on purpose: {r.message}"
    if action is Action.RETRY and not (r.rejected or r.contested):
        return f"tried again: {headline(r)}"
    return ""


def _refusal(events: list[Object], action: Action, by: str, asked: datetime) -> str:
    """The newest event since we asked that says why our command was refused."""
    found = []
    for event in events:
        stamp = event.get("eventTime") or event.get("lastTimestamp") or ""
        at = parse_time(stamp) if isinstance(stamp, str) else None
        message = str(event.get("message") or event.get("note") or "")
        # Clocks differ between this machine and the cluster.
        recent = at is None or at > asked - timedelta(seconds=60)
        if event.get("reason") == "CommandRefused" and recent and message.startswith(f"{action} by {by}"):
            found.append((stamp, message))
    return max(found)[1] if found else ""


def _by_spec(r: Reading, action: Action) -> str:
    """Where nothing is kept, only the spec leads back."""
    if action is not Action.ABORT or r.behind or r.phase != "Stable":
        return ""
    return (
        ". No revision before it is kept: apply the old spec again (git revert, helm rollback), and it is tried like "
        "any other; the operator never writes spec"
    )


def _no(r: Reading, word: str, why: str) -> CliError:
    return CliError(f"cannot {word} {r.name}: {why}", SENT_BACK)


def _annotation(obj: Object) -> str:
    value = (obj["metadata"].get("annotations") or {}).get(COMMANDS)
    return value if isinstance(value, str) else ""


def _version(obj: Object) -> str:
    return str(obj["metadata"]["resourceVersion"])
