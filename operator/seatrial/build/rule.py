"""One rule of somebody else's HTTPRoute: what in it is ours, and a patch that writes no more than that.

`rules`, `backendRefs` and `filters` are atomic lists: whoever applies one of them replaces it, the rules of others
included. A JSON patch names the place instead, and tests that it is still the same rule of the same version.

Ours are the rule's `backendRefs` as a whole, and the copies at the end of its `filters`. The owner's own filters come
first and stay; gateways name copies by their position among all filters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.build.fingerprint import fingerprint
from seatrial.build.names import is_backend

Json = dict[str, Any]

LARGEST = 16384
"""Characters of a rule's `backendRefs` that are kept."""


@dataclass(frozen=True, slots=True)
class Splice:
    """What one rule of a route that is not ours shall hold."""

    route: str
    """The HTTPRoute's name."""
    rule: str
    """The rule's name."""
    backends: tuple[Json, ...] | None
    """Its `backendRefs`; None for a rule without any."""
    copies: tuple[Json, ...] = ()
    """Filters of ours, after those of the owner."""

    @property
    def intent(self) -> str:
        """A hash of what is asked for."""
        return _digest(self.backends, self.copies)

    @property
    def services(self) -> list[str]:
        """The Services it names."""
        refs = [*(self.backends or ()), *(entry["requestMirror"]["backendRef"] for entry in self.copies)]
        return [str(ref.get("name")) for ref in refs]


def find(route: Mapping[str, Any], name: str) -> int | None:
    """The position of a rule, by its name."""
    return next((index for index, rule in enumerate(_rules(route)) if rule.get("name") == name), None)


def names(route: Mapping[str, Any]) -> list[str]:
    """The names of all rules that have one."""
    return [str(rule["name"]) for rule in _rules(route) if rule.get("name")]


def sorted_out(model: str, rule: Mapping[str, Any]) -> tuple[list[Json], list[Json]]:
    """A rule's filters: the owner's, and our copies."""
    filters = list(rule.get("filters") or ())
    ours = [entry for entry in filters if _is_copy(model, entry)]
    return [entry for entry in filters if entry not in ours], ours


def stands(model: str, rule: Mapping[str, Any]) -> str:
    """A hash of what in a rule is ours to say."""
    return _digest(rule.get("backendRefs"), sorted_out(model, rule)[1])


def is_taken(model: str, rule: Mapping[str, Any]) -> bool:
    """Whether a rule's backends are revisions of a model: we wrote them, whoever moved their weights since."""
    return any(is_backend(model, str(ref.get("name"))) for ref in rule.get("backendRefs") or ())


def original(rule: Mapping[str, Any]) -> str:
    """A rule's `backendRefs` for safe-keeping; empty where there are none."""
    refs = rule.get("backendRefs")
    return "" if refs is None else json.dumps(refs, sort_keys=True, separators=(",", ":"))


def restored(route: str, rule: str, kept: str) -> Splice:
    """The rule as its owner wrote it. Raises ValueError for what cannot have been kept."""
    try:
        refs = json.loads(kept) if kept else None
    except ValueError:
        refs = ""
    if refs is not None and not (isinstance(refs, list) and all(isinstance(ref, dict) for ref in refs)):
        raise ValueError(f"no list of backends: {kept[:80]}")
    return Splice(route, rule, None if refs is None else tuple(refs))


def patch(model: str, route: Mapping[str, Any], splice: Splice) -> list[Json]:
    """The JSON patch (RFC 6902) that makes the rule so; empty where it is so, or where there is no such rule."""
    index = find(route, splice.rule)
    if index is None:
        return []
    rule, at = _rules(route)[index], f"/spec/rules/{index}"
    theirs, _ = sorted_out(model, rule)
    filters = [*theirs, *splice.copies]
    changes = [
        *_set(rule, at, "backendRefs", None if splice.backends is None else list(splice.backends)),
        *_set(rule, at, "filters", filters or None),
    ]
    if not changes:
        return []
    return [
        {"op": "test", "path": "/metadata/resourceVersion", "value": route["metadata"]["resourceVersion"]},
        {"op": "test", "path": f"{at}/name", "value": splice.rule},
        *changes,
    ]


def spliced(model: str, route: Mapping[str, Any], splice: Splice) -> Json:
    """The route with the rule as it shall be: what the patch comes to."""
    out: Json = json.loads(json.dumps(route))
    for change in patch(model, route, splice):
        if change["op"] == "test":
            continue
        index, key = change["path"].split("/")[-2:]
        rule = out["spec"]["rules"][int(index)]
        if change["op"] == "remove":
            del rule[key]
        else:
            rule[key] = change["value"]
    return out


def _set(rule: Mapping[str, Any], at: str, key: str, value: Sequence[Json] | None) -> list[Json]:
    if value == rule.get(key):
        return []
    if value is None:
        return [{"op": "remove", "path": f"{at}/{key}"}]
    return [{"op": "add", "path": f"{at}/{key}", "value": value}]  # replaces what is there, too


def _rules(route: Mapping[str, Any]) -> list[Json]:
    return (route.get("spec") or {}).get("rules") or []


def _is_copy(model: str, entry: Mapping[str, Any]) -> bool:
    mirror = entry.get("requestMirror") or {}
    return is_backend(model, str((mirror.get("backendRef") or {}).get("name")))


def _digest(backends: Sequence[Json] | None, copies: Sequence[Json]) -> str:
    refs = None if backends is None else list(backends)
    return fingerprint({"spec": {"backendRefs": refs, "filters": list(copies)}})
