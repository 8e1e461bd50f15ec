"""The reference pages, written from the same schemas that the API server gets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seatrial.api import crd, policy_crd, policy_rules
from seatrial.api.base import API_VERSION, DECIMAL_PATTERN, DURATION_PATTERN, KIND, PERCENT_PATTERN
from seatrial.api.policies import CLUSTER_POLICY_KIND, POLICY_KIND
from seatrial.api.rules import RULES, Rule
from seatrial.api.spec import BOUND_PATTERN

_WORDS = {
    DURATION_PATTERN: "duration",
    DECIMAL_PATTERN: "number",
    PERCENT_PATTERN: "percentage",
    BOUND_PATTERN: "number or percentage",
}

_HEAD = f"""\
<!-- Generated from operator/seatrial/api by `python -m seatrial.api.generate`; edit the models instead. -->

# {KIND}

`apiVersion: {API_VERSION}`, `kind: {KIND}`, short name `md`. Every field, what it means, and what is refused.
`kubectl explain md.spec` says the same in a terminal; `seatrial lint FILE` applies the same rules without a cluster.

Kubernetes APIs carry no fractions, so these are strings:

| Word | Looks like | Is |
|---|---|---|
| duration | `90s`, `10m`, `1h30m` | hours `h`, minutes `m`, seconds `s`, milliseconds `ms`; whole numbers |
| number | `"0.2"`, `"1200"` | a decimal number, quoted |
| percentage | `2%`, `0.5%` | a percentage |

"Required" fields have no default. Changing `template`, `runtime`, `port` or `model.version` makes a new revision and
starts a trial; changing anything else does not.
"""


_POLICY_HEAD = f"""\
<!-- Generated from operator/seatrial/api by `python -m seatrial.api.generate`; edit the models instead. -->

# {CLUSTER_POLICY_KIND} and {POLICY_KIND}

`apiVersion: {API_VERSION}`, `kind: {CLUSTER_POLICY_KIND}`, short name `ctp`, for the namespaces it chooses; and
`kind: {POLICY_KIND}`, short name `tp`, for its own namespace, which has every field but `namespaceSelector`. What they are
for, and how they meet a model's own spec: [house rules](house-rules.md). Durations, numbers and percentages are written as in
[a ModelDeployment](reference.md). `seatrial lint FILE` applies the same rules without a cluster.
"""


@dataclass(frozen=True, slots=True)
class _Book:
    """What a page is about."""

    head: str
    nodes: Sequence[tuple[str, Mapping[str, Any]]]
    rules: Sequence[Rule]


def page() -> str:
    """The whole page of a ModelDeployment, Markdown."""
    return _page(_Book(_HEAD, tuple(crd.nodes()), RULES))


def policy_page() -> str:
    """The whole page of policies, Markdown."""
    nodes = tuple(crd.walk(policy_crd.schema_of(CLUSTER_POLICY_KIND), ""))
    return _page(_Book(_POLICY_HEAD, nodes, policy_rules.rules_of(CLUSTER_POLICY_KIND)))


def _page(book: _Book) -> str:
    lines = [book.head]
    if general := [rule for rule in book.rules if rule.at == ""]:
        lines += ["## The object", "", *(f"* {_refusal(rule)}" for rule in general), ""]
    for path, node in _sections(book):
        if path in {"spec", "status"}:
            lines += [f"## {path.capitalize()}", ""]
        lines += [f"### {path}", "", str(node.get("description", "")), "", *_table(book, path, node), ""]
        refusals = [_refusal(rule) for rule in book.rules if rule.at == path]
        if refusals:
            lines += ["Refused:", "", *(f"* {refusal}" for refusal in refusals), ""]
    return "\n".join(lines)


def _sections(book: _Book) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of the resource, each kind of them once."""
    for path, node in book.nodes:
        if "properties" in node and path.startswith(("spec", "status")) and _first(book, node) == path:
            yield path, node


def _first(book: _Book, node: Mapping[str, Any]) -> str:
    """Where an object with these fields stands first; it is described there."""
    return next(path for path, other in book.nodes if other.get("properties") == node["properties"])


def _refusal(rule: Rule) -> str:
    """A rule's sentence, with what it quotes in italics."""
    sentence = re.sub(r"\{(\w+)\}", r"*\1*", rule.message)
    return f"`{rule.blame.removeprefix('.')}`: {sentence}." if rule.blame else f"{sentence}."


def _table(book: _Book, path: str, node: Mapping[str, Any]) -> Iterator[str]:
    # Defaults of the status are the operator's own business: it writes every field itself.
    defaults = path.startswith("spec")
    yield "| Field | Type | Default | Meaning |" if defaults else "| Field | Type | Meaning |"
    yield "|---|---|---|---|" if defaults else "|---|---|---|"
    for name, child in node["properties"].items():
        kind = _type(book, child)
        meaning = re.sub(r" Default: [^ ]+\.$", "", str(child.get("description", ""))).replace("|", r"\|")
        default = f" {_default(name, child, node)} |" if defaults else ""
        yield f"| `{name}` | {kind} |{default} {meaning} |"


def _default(name: str, child: Mapping[str, Any], parent: Mapping[str, Any]) -> str:
    if name in parent.get("required", []):
        return "*required*"
    if "default" not in child:
        return ""
    if isinstance(child["default"], dict | list):
        return "of its fields" if "properties" in child else "see there"
    return f"`{_plain(child['default'])}`"


def _plain(value: Any) -> str:
    return json.dumps(value).strip('"')


def _type(book: _Book, node: Mapping[str, Any]) -> str:
    """A field's type and bounds, in words."""
    kind = node["type"]
    if "properties" in node:
        return f"[object](#{_anchor(_first(book, node))})"
    if kind == "array":
        span = _span(node.get("minItems", 0), node.get("maxItems"))
        keys = " and ".join(f"`{key}`" for key in node.get("x-kubernetes-list-map-keys", []))
        unique = {"map": f", each with its own {keys}", "set": ", each once"}.get(
            node.get("x-kubernetes-list-type", ""), ""
        )
        return f"list of {span} × {_type(book, node['items'])}{unique}"
    if kind == "object" and "additionalProperties" not in node:
        return "`{}`: it has no fields of its own"
    if kind == "object":
        return f"map of up to {node['maxProperties']} × {_type(book, node['additionalProperties'])}"
    if kind == "integer":
        return "integer" if "minimum" not in node else f"integer, {_span(node['minimum'], node.get('maximum'))}"
    if kind == "boolean":
        return "`true` or `false`"
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if node.get("format") == "date-time":
        return "time"
    if node.get("pattern") in _WORDS:
        return _WORDS[node["pattern"]]
    return f"string, {_span(node.get('minLength', 0), node.get('maxLength'))} characters"


def _span(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    if least == most:
        return str(most)
    return f"{least} to {most:,}" if least else f"up to {most:,}"


def _anchor(path: str) -> str:
    """The fragment that Markdown renderers give a heading."""
    return re.sub(r"[^a-z0-9_-]", "", path.lower())
