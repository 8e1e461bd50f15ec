"""The rules for users who bear a mark: what they match, what their answers give, and where the preview stands."""

from __future__ import annotations

import re
from typing import Any

import pytest

from seatrial.api.spec import ParentRef, Stickiness, StickyCookie, StickyHeader
from seatrial.build.names import RESPONSE_HEADER
from seatrial.build.route import ANY, Group, Preview, Slot, http_route

STABLE, CANDIDATE = "7c9f1b20de", "e04d5521aa"
BOTH = (Slot(STABLE, 900_000, "t1-stable-10"), Slot(CANDIDATE, 100_000, "t1-candidate"))
KEPT = (Slot(STABLE, 1), Slot(CANDIDATE, 999_999))
GROUPS = (
    Group(("t1-candidate",), KEPT),
    Group(("t1-stable-5", "t1-stable-1"), BOTH),
    Group((f"t1-stable-{ANY}",), BOTH),
)
COOKIE = Stickiness(cookie=StickyCookie(name="who"))
HEADER = Stickiness(header=StickyHeader(name="x-who"))


def rules(stickiness: Stickiness | None, *, groups: tuple[Group, ...] = GROUPS, preview: bool = False) -> list[Any]:
    route = http_route(
        "fraud",
        "payments",
        hostnames=["fraud.example.com"],
        parents=[ParentRef(name="public")],
        slots=BOTH,
        groups=groups,
        stickiness=stickiness,
        preview=Preview("x-preview", CANDIDATE) if preview else None,
    )
    found: list[Any] = route["spec"]["rules"]
    return found


def given(backend: Any) -> Any:
    return backend["filters"][0]["responseHeaderModifier"]


def test_rule_0_gives_newcomers_a_cookie_beside_those_of_the_model() -> None:
    """Added and not set: a cookie that the model itself sets has the same header name."""
    stable, candidate = rules(COOKIE)[0]["backendRefs"]
    assert given(stable) == {
        "add": [{"name": "set-cookie", "value": "who=t1-stable-10; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax"}],
        "set": [{"name": RESPONSE_HEADER, "value": STABLE}],
    }
    assert given(candidate)["add"][0]["value"].startswith("who=t1-candidate; ")


def test_a_header_is_set() -> None:
    candidate = rules(HEADER)[0]["backendRefs"][1]
    assert given(candidate) == {
        "set": [{"name": RESPONSE_HEADER, "value": CANDIDATE}, {"name": "x-who", "value": "t1-candidate"}]
    }


def test_who_bears_a_mark_gets_no_other() -> None:
    """A new one only for those who are drawn again: an answer that comes late must not undo a later draw."""
    assert [given(backend) for backend in rules(COOKIE)[1]["backendRefs"]] == [
        {"set": [{"name": RESPONSE_HEADER, "value": revision}]} for revision in (STABLE, CANDIDATE)
    ]


@pytest.mark.parametrize(
    ("cookies", "held"),
    [
        ("who=t1-candidate", True),
        ("a=b; who=t1-candidate; c=d", True),
        ("a=b;who=t1-candidate", True),
        ("who=t1-candidates", False),
        ("notwho=t1-candidate", False),
        ("a=who=t1-candidate", False),
        ("who=t2-candidate", False),
        ("", False),
    ],
)
def test_the_cookie_is_found_among_others(cookies: str, held: bool) -> None:
    """As Envoy matches: the whole header."""
    (match,) = rules(COOKIE)[1]["matches"]
    (header,) = match["headers"]
    assert (header["type"], header["name"]) == ("RegularExpression", "cookie")
    assert (re.fullmatch(header["value"], cookies) is not None) == held
    assert (re.search(header["value"], cookies) is not None) == held, "and where a part would be enough"


def test_marks_of_one_group_are_alternatives() -> None:
    held = [match["headers"][0]["value"] for match in rules(HEADER)[2]["matches"]]
    assert held == ["t1-stable-5", "t1-stable-1"]


def test_the_last_group_takes_any_step() -> None:
    (match,) = rules(HEADER)[3]["matches"]
    assert match["headers"] == [{"type": "RegularExpression", "name": "x-who", "value": "t1-stable-[0-9]+"}]


@pytest.mark.parametrize(("stickiness", "name"), [(COOKIE, "cookie"), (HEADER, "x-who")])
def test_the_preview_comes_before_every_mark(stickiness: Stickiness, name: str) -> None:
    """The Gateway API prefers the match with more headers."""
    plain, marked = rules(stickiness, preview=True)[-1]["matches"]
    assert [header["name"] for header in plain["headers"]] == ["x-preview"]
    assert [header["name"] for header in marked["headers"]] == ["x-preview", name]
    assert marked["headers"][1]["value"] == ".*"


def test_without_stickiness_the_route_is_what_it_was() -> None:
    live, preview = rules(None, groups=(), preview=True)
    assert [given(backend) for backend in live["backendRefs"]] == [
        {"set": [{"name": RESPONSE_HEADER, "value": revision}]} for revision in (STABLE, CANDIDATE)
    ]
    assert len(preview["matches"]) == 1
