"""What people ask of a trial, as lines of one annotation.

A command is a request on record: `NONCE ACTION REVISION BY REASON…`, one line each, in the annotation
`seatrial.dev/commands` of the ModelDeployment. The last eight are kept. Status remembers the nonces that
were carried out or refused, so a line is obeyed once however often it is read, and who asked for what, and
why, stays on the object. Lines rather than JSON: admission policies (CEL) can read them.

Where the chart's admission policy is installed (`authority-commands.yaml`), the API server has checked that
`BY` is who wrote the line and may ask for that action. It reads lines more strictly than this module.

The annotation is written by people and their tools: a line that cannot be read is reported by `problems`
and skipped by `parse`; it never stands in the way of the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

KEPT = 8
"""Lines that the annotation holds."""

_NONCE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
_REVISION = re.compile(r"^[0-9a-f]{10}$")
_BY_MAX = 253
_REASON_MAX = 512


class Action(StrEnum):
    """What can be asked for."""

    PAUSE = "pause"
    """Stop advancing. Failures still send the candidate back."""
    RESUME = "resume"
    """End a pause."""
    APPROVE = "approve"
    """Pass the gate that waits."""
    PROMOTE = "promote"
    """Skip the remaining exposure: the last step at once, acceptance judged there as always."""
    ABORT = "abort"
    """Send the candidate back."""
    RETRY = "retry"
    """Try a revision again that was sent back, or write a rule again that was contested."""
    DRILL = "drill"
    """Practise going back, with a copy of the stable revision."""
    ACCEPT = "accept"
    """Have a difference that a check found be the intended one, for this revision. The reason begins with the check's name."""
    SKIP_CHECKS = "skip-checks"
    """Accept the candidate unjudged: all traffic, as soon as its pods are ready. Only with a reason."""


@dataclass(frozen=True, slots=True)
class Command:
    """One request of one person."""

    nonce: str
    """Unique on the object; a line with a nonce that was done already is not done again."""
    action: Action
    revision: str
    """The revision the person had before their eyes; a request for another one is refused."""
    by: str
    """Who asked, as the API server knows them."""
    reason: str = ""
    """Why, in their words."""

    def line(self) -> str:
        """This command as the annotation holds it; text that would break the line is made harmless."""
        reason = _one_line(self.reason)[:_REASON_MAX].rstrip()
        return f"{self.nonce} {self.action} {self.revision} {escape(self.by)} {reason}".rstrip()


def parse(text: str) -> tuple[Command, ...]:
    """The readable ones among the last eight lines, in the order in which they were asked for."""
    return _read(text)[0]


def problems(text: str) -> tuple[str, ...]:
    """A sentence for each of the last eight lines that cannot be read, and why."""
    return _read(text)[1]


def append(text: str, command: Command) -> str:
    """The annotation with one more command. The oldest lines make room.

    Appending a command twice changes nothing, so a write whose answer was lost can be tried again.
    """
    if not _NONCE.match(command.nonce) or not _REVISION.match(command.revision):
        raise ValueError(f"{command.line()!r} is not a command: the nonce or the revision is malformed")
    if any(line.split(" ", 1)[0] == command.nonce for line in _lines(text)):
        return text
    return "\n".join([*_lines(text), command.line()][-KEPT:])


def _read(text: str) -> tuple[tuple[Command, ...], tuple[str, ...]]:
    commands: dict[str, Command] = {}
    bad: list[str] = []
    for line in _lines(text)[-KEPT:]:
        read = _read_line(line)
        if isinstance(read, str):
            bad.append(f"command {line[:80]!r} is skipped: {read}")
        elif read.nonce in commands:
            bad.append(f"command {line[:80]!r} is skipped: its nonce was used by an earlier line")
        else:
            commands[read.nonce] = read
    return tuple(commands.values()), tuple(bad)


def _read_line(line: str) -> Command | str:
    """The command, or what is wrong with the line."""
    words = line.split(maxsplit=4)
    if len(words) < 4:
        return "it needs NONCE ACTION REVISION BY, then a reason"
    nonce, action, revision, by = words[:4]
    if not _NONCE.match(nonce):
        return f"the nonce {nonce[:80]!r} is not up to 63 letters, digits, '.', '_' and '-'"
    if action not in tuple(Action):
        return f"{action[:80]!r} is no action; there are {', '.join(Action)}"
    if not _REVISION.match(revision):
        return f"{revision[:80]!r} is no revision; a revision is ten hexadecimal digits"
    if len(by) > _BY_MAX:
        return f"the name of who asks has {len(by)} characters, the limit is {_BY_MAX}"
    reason = _one_line(words[4])[:_REASON_MAX].rstrip() if len(words) == 5 else ""
    return Command(nonce, Action(action), revision, unescape(by), reason)


def _lines(text: str) -> list[str]:
    # Not splitlines(): it also splits at form feeds and U+2028, which a reason may hold.
    return [line.strip() for line in text.split("\n") if line.strip()]


def _one_line(text: str) -> str:
    """Any run of white space or control characters becomes one space."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()


def escape(by: str) -> str:
    """User names may hold spaces, and a name must stay one word: percent-encoded, as in a URL."""
    clean = _one_line(by)[:_BY_MAX]
    return clean.replace("%", "%25").replace(" ", "%20") or "unknown"


def unescape(by: str) -> str:
    """The name behind a word that `escape` made."""
    return by.replace("%20", " ").replace("%25", "%")
