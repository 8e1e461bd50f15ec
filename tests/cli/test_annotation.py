"""The annotation that carries people's commands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seatrial.core.commands import KEPT, Action, Command, append, parse, problems

REVISION = "e04d5521aa"


def command(nonce: str, **more: str) -> Command:
    return Command(
        nonce,
        Action(more.get("action", "pause")),
        more.get("revision", REVISION),
        more.get("by", "ada@example.com"),
        more.get("reason", ""),
    )


def test_a_line_holds_who_asked_for_what_and_why() -> None:
    text = append("", command("n1", action="abort", reason="scores look odd"))
    assert text == "n1 abort e04d5521aa ada@example.com scores look odd"
    assert parse(text) == (command("n1", action="abort", reason="scores look odd"),)


def test_the_last_eight_are_kept_in_order() -> None:
    text = ""
    for i in range(11):
        text = append(text, command(f"n{i}"))
    assert [c.nonce for c in parse(text)] == [f"n{i}" for i in range(3, 11)]


def test_appending_twice_is_appending_once() -> None:
    once = append("", command("n1"))
    assert append(once, command("n1")) == once


def test_bad_lines_are_reported_and_the_good_ones_are_read() -> None:
    text = (
        "n1 pause e04d5521aa ada too early\n"
        "n2 explode e04d5521aa ada\n"
        "\n"
        "n3 pause latest ada\n"
        "n4 pause\n"
        "n1 resume e04d5521aa ada\r\n"
        "n5 resume e04d5521aa bob"
    )
    assert [(c.nonce, c.action, c.reason) for c in parse(text)] == [("n1", "pause", "too early"), ("n5", "resume", "")]
    assert problems(text) == (
        "command 'n2 explode e04d5521aa ada' is skipped: 'explode' is no action; there are pause, resume, approve, promote, abort, retry, drill, accept, skip-checks",
        "command 'n3 pause latest ada' is skipped: 'latest' is no revision; a revision is ten hexadecimal digits",
        "command 'n4 pause' is skipped: it needs NONCE ACTION REVISION BY, then a reason",
        "command 'n1 resume e04d5521aa ada' is skipped: its nonce was used by an earlier line",
    )


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert len(parse(text)) + len(problems(text)) <= KEPT


@given(
    st.text(max_size=2000),
    st.sampled_from(Action),
    st.text(min_size=1, max_size=253),
    st.text(max_size=400),
)
def test_what_was_appended_to_anything_is_read_back(before: str, action: Action, by: str, reason: str) -> None:
    asked = Command("nonce-1", action, REVISION, by, reason)
    if "nonce-1" in before:
        return
    after = append(before, asked)
    (read,) = parse(after.split("\n")[-1])
    assert (read.nonce, read.action, read.revision) == ("nonce-1", action, REVISION)
    # White space and control characters become one space; nothing else is lost.
    assert read.by.split() == clean(by) or (not clean(by) and read.by == "unknown")
    assert read.reason.split() == clean(reason)
    assert append(after, asked) == after


def clean(text: str) -> list[str]:
    return "".join(" " if c.isspace() or ord(c) < 32 or 127 <= ord(c) < 160 else c for c in text).split()
