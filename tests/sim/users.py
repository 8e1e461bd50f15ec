"""Users of the simulated world: each keeps what an answer gave him, and sends it with his next request."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from seatrial.build.names import RESPONSE_HEADER

Rule = Mapping[str, Any]


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


class User:
    """Somebody with a cookie jar, and a memory for other headers."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.met = ""
        """The revision that answered last."""
        self.cookies = {"theme": "dark"}

    def request(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items()), **self.headers}

    def take(self, modifier: Rule) -> None:
        """An answer's headers."""
        for entry in (*modifier.get("set", ()), *modifier.get("add", ())):
            if entry["name"] == "set-cookie":
                name, _, value = entry["value"].partition(";")[0].partition("=")
                self.cookies[name] = value
            elif entry["name"] != RESPONSE_HEADER:
                self.headers[entry["name"]] = entry["value"]


def chosen(rules: Sequence[Rule], headers: Mapping[str, str]) -> int:
    """The rule that takes a request, as the Gateway API ranks them: most headers first, then in their order."""
    best, most = -1, -1
    for index, rule in enumerate(rules):
        for match in rule["matches"]:
            wanted = match.get("headers", ())
            if len(wanted) > most and all(_holds(one, headers) for one in wanted):
                best, most = index, len(wanted)
    return best


def _holds(wanted: Rule, headers: Mapping[str, str]) -> bool:
    have = headers.get(wanted["name"])
    if have is None:
        return False
    if wanted["type"] == "RegularExpression":
        return _pattern(wanted["value"]).fullmatch(have) is not None
    return bool(have == wanted["value"])


class Users:
    """A crowd of them."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self.all = [User() for _ in range(count)]
        self.random = random.Random(seed)
        self.moves: Counter[tuple[str, str]] = Counter()
        """How often a user met another revision than the last time, by the two revisions."""

    def send(self, rules: Sequence[Rule], count: int) -> Counter[tuple[int, int]]:
        """So many requests of anybody; how many went to each backend (rule, position)."""
        out: Counter[tuple[int, int]] = Counter()
        for _ in range(count):
            user = self.random.choice(self.all)
            rule = chosen(rules, user.request())
            refs = rules[rule]["backendRefs"]
            (position,) = self.random.choices(range(len(refs)), [ref["weight"] for ref in refs])
            modifier = refs[position]["filters"][0]["responseHeaderModifier"]
            user.take(modifier)
            revision = next(h["value"] for h in modifier["set"] if h["name"] == RESPONSE_HEADER)
            if user.met not in ("", revision):
                self.moves[user.met, revision] += 1
            user.met = revision
            out[rule, position] += 1
        return out

    def with_revision(self, revision: str) -> int:
        """Users whom this revision answered last."""
        return sum(user.met == revision for user in self.all)

    def bear(self, rule: Rule) -> bool:
        """Whether a request of one of them would match a rule."""
        return any(chosen([rule], user.request()) == 0 for user in self.all)
