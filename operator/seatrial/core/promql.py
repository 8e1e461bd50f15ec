r"""Judges a user's PromQL before it is sent.

A query must not read other tenants' series, so every vector selector in it carries the resource's own
namespace as an exact matcher. The text is judged after `$selector`, `$namespace` and `$window` were replaced,
and the same text is sent: nothing is printed back from the parse tree, since the parser's printer does not
escape.

The parser is not Prometheus' own. Whatever the two could read differently is refused: backticks, escapes
other than `\\`, `\"`, `\'`, `\n` and `\t`, and control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import promql_parser as parser

from seatrial.api.spec import Check

_PLACEHOLDER = re.compile(r"\$(selector|namespace|window)\b")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
_EXAMPLE_PODS = "model-0000000000-.*"
_NAMELESS = "{…}"


def substitute(query: str, selector: str, namespace: str, window: str) -> str:
    """Replace the placeholders, as text and in one go."""
    values = {"selector": selector, "namespace": namespace, "window": window}
    return _PLACEHOLDER.sub(lambda found: values[found.group(1)], query)


def problems(check: Check, namespace: str) -> list[str]:
    """What is wrong with a check's query, each as a sentence; empty for a good one, and for a preset."""
    asked = check.share or check.mean
    if asked is not None:
        read = (named(asked.of), named(asked.per))
        return [f"check {check.name}: {problem}" for problem in read if isinstance(problem, str)]
    if check.drift is not None:
        found = named(check.drift.histogram or check.drift.classes or "")
        return [f"check {check.name}: {found}"] if isinstance(found, str) else []
    if check.expected is not None:
        found = named(check.expected.histogram)
        return [f"check {check.name}: {found}"] if isinstance(found, str) else []
    if check.query is None:
        return []
    selector = f'namespace="{namespace}",pod=~"{_EXAMPLE_PODS}"'
    text = substitute(check.query, selector, namespace, "300s")
    return [f"check {check.name}: {problem}" for problem in problems_in(text, namespace)]


def problems_in(text: str, namespace: str) -> list[str]:
    """What is wrong with a query whose placeholders are replaced."""
    if "`" in text:
        return ["the query has a backtick: quote strings with double quotes"]
    if _CONTROL.search(text):
        return ["the query has a control character: write it with plain spaces and line ends"]
    if escape := _strange_escape(text):
        taken = r"only \\, \", \', \n and \t are taken (a dot in a pattern is \\. or [.])"
        return [f"the query has the escape {escape} in a string: {taken}"]
    try:
        tree = parser.parse(text)
        found = list(_nodes(tree))
    except ValueError as error:
        return [f"the query does not parse: {error}"]
    out = []
    if isinstance(tree, parser.StringLiteral | parser.MatrixSelector | parser.SubqueryExpr):
        out.append("the query gives no number: it must be one, such as sum(rate(…)) gives")
    selectors = 0
    for node in found:
        if isinstance(node, parser.Call) and node.func.name == "info":
            out.append("info() reads series that the query does not name: leave it out")
        if isinstance(node, parser.VectorSelector):
            selectors += 1
            if (problem := _selector_problem(node, namespace)) is not None and problem not in out:
                out.append(problem)
    if not selectors:
        out.append("the query reads no metric, so it says nothing of this model: name one, with {$selector}")
    return out


def metric_names(text: str) -> list[str]:
    """The names of the metrics that a query reads, where it names them exactly; each once, in order."""
    try:
        found = list(_nodes(parser.parse(text)))
    except ValueError:
        return []
    names = (_name(node) for node in found if isinstance(node, parser.VectorSelector))
    return list(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True, slots=True)
class Named:
    """Series of one metric, as a vector selector names them."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...] = ()
    """Label, one of `=`, `!=`, `=~`, `!~`, and value."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a series is one of them; a label that is not there is empty."""
        if labels.get("__name__") != self.metric:
            return False
        return all(_matches(labels.get(label, ""), op, value) for label, op, value in self.matchers)


def _matches(found: str, op: str, value: str) -> bool:
    if op in ("=", "!="):
        return (found == value) is (op == "=")
    return (re.fullmatch(value, found) is not None) is (op == "=~")


_OPS = (
    (parser.MatchOp.Equal, "="),
    (parser.MatchOp.NotEqual, "!="),
    (parser.MatchOp.Re, "=~"),
    (parser.MatchOp.NotRe, "!~"),
)
OWN_LABELS = frozenset({"namespace", "pod", "__name__"})
"""Labels that the operator matches itself."""


def named(text: str) -> Named | str:
    """A plain vector selector of one metric, or the sentence that says why it is none."""
    try:
        node = parser.parse(text)
    except ValueError as error:
        return f"{text} does not parse: {error}"
    if "`" in text or _CONTROL.search(text) or _strange_escape(text):
        return f"{text!r} has a backtick, a control character or an escape that is not taken"
    if not isinstance(node, parser.VectorSelector) or node.offset is not None or node.at is not None or not node.name:
        return f"{text} is no plain selector of a counter: write a metric's name, with labels where needed, and nothing around it"
    if node.matchers.or_matchers:
        return f"{text} has `or` between its matchers: count one set of series"
    out = []
    for matcher in node.matchers.matchers:
        if matcher.name in OWN_LABELS:
            return f"{text} matches {matcher.name}, which the operator does: leave it out"
        op = next(sign for kind, sign in _OPS if matcher.op == kind)
        if op.endswith("~") and (problem := _pattern_problem(matcher.value)):
            return f"{text}: {problem}"
        out.append((matcher.name, op, matcher.value))
    return Named(node.name, tuple(out))


def _pattern_problem(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        return f"the pattern {pattern!r} does not parse: {error}"
    return ""


def _strange_escape(text: str) -> str:
    """The first escape that this parser and Prometheus' own could read differently; empty where there is none."""
    escapes = _ESCAPE.finditer(text)
    return next((one.group(0) for one in escapes if one.group(1) not in {"\\", '"', "'", "n", "t"}), "")


def _name(node: parser.VectorSelector) -> str | None:
    if node.name:
        return node.name
    exact = (m.value for m in node.matchers.matchers if m.name == "__name__" and m.op == parser.MatchOp.Equal)
    return next(exact, None)


def _selector_problem(node: parser.VectorSelector, namespace: str) -> str | None:
    name = _name(node) or _NAMELESS
    if node.matchers.or_matchers:
        return f"{name} has `or` between its matchers, which would let other namespaces in: write two queries"
    if any(
        m.name == "namespace" and m.op == parser.MatchOp.Equal and m.value == namespace for m in node.matchers.matchers
    ):
        return None
    said = [m for m in node.matchers.matchers if m.name == "namespace"]
    if said:
        return f'{name} reads another namespace ({said[0]}): write {{$selector}}, or namespace="$namespace"'
    where = name if name != _NAMELESS else ""
    return f'{name} would read every namespace: write {where}{{$selector}}, or {where}{{namespace="$namespace"}}'


def _nodes(node: object) -> Iterator[object]:
    """Every node of the tree. A kind of node that is not known is an error: something could hide in it."""
    yield node
    match node:
        case parser.NumberLiteral() | parser.StringLiteral() | parser.VectorSelector():
            return
        case parser.MatrixSelector():
            yield from _nodes(node.vector_selector)
        case parser.ParenExpr() | parser.UnaryExpr() | parser.SubqueryExpr():
            yield from _nodes(node.expr)
        case parser.BinaryExpr():
            yield from _nodes(node.lhs)
            yield from _nodes(node.rhs)
        case parser.AggregateExpr():
            yield from _nodes(node.expr)
            if node.param is not None:
                yield from _nodes(node.param)
        case parser.Call():
            for arg in node.args:
                yield from _nodes(arg)
        case _:
            raise ValueError(f"{type(node).__name__} is not known here")
