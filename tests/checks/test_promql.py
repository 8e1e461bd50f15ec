"""A user's query reads the resource's own namespace and nothing else, however it is written."""

from __future__ import annotations

import pytest

from seatrial.api.spec import Check
from seatrial.core import promql

NS = 'namespace="payments"'


def problems(query: str) -> list[str]:
    return promql.problems(Check(name="c", query=query, max="1"), "payments")


@pytest.mark.parametrize(
    "query",
    [
        "sum(rate(tokens_total{$selector}[$window]))",
        'sum(rate(tokens_total{namespace="$namespace"}[$window]))',
        'tokens{namespace="payments",team=~"a|b"}',
        "tokens{$selector,}",
        "sum(rate(e{$selector}[5m])) / sum(rate(t{$selector}[5m]))",
        "(sum(rate(e{$selector}[5m])) or vector(0)) / sum(rate(t{$selector}[5m]))",
        "max_over_time(sum(rate(t{$selector}[1m]))[10m:1m])",
        "sum(t{$selector} offset 1h)",
        "sum(t{$selector} @ 1700000000)",
        "sum(rate(t{$selector}[5m] @ start()))",
        'label_replace(sum(t{$selector}), "x", "$1", "y", "(.*)")',
        'sum({__name__=~"a|b",$selector})',
        'sum({"a.b",$selector})',
        'sum(t{path="a}b{c",$selector})',
        "sum(t{$selector}) # a comment, with t{namespace=\"other\"}\n",
        "absent(t{$selector})",
        "topk(1, t{$selector})",
        "quantile(scalar(q{$selector}), t{$selector})",
        "histogram_quantile(0.99, sum by (le) (rate(b_bucket{$selector}[$window])))",
        r'sum(t{path=~"/v2/.*\\.json",$selector})',
        "-sum(t{$selector})",
        "sum(t{$selector}) > bool 3",
    ],
)  # fmt: skip
def test_good_queries(query: str) -> None:
    assert problems(query) == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sum(t)", "t would read every namespace: write t{$selector}, or t{namespace=\"$namespace\"}"),
        ("sum(t{$selector}) + sum(u)", "u would read every namespace"),
        ("sum(t{$selector}) / ignoring(pod) group_left() u", "u would read every namespace"),
        ('sum(t{namespace="other"})', 't reads another namespace (namespace="other"): write {$selector}'),
        ('sum(t{namespace=~"payments"})', "t reads another namespace (namespace=~\"payments\")"),
        ('sum(t{namespace!="payments"})', "reads another namespace"),
        ('sum(t{namespace=""})', "reads another namespace"),
        ('sum(t{Namespace="payments"})', "every namespace"),
        ('sum(t{namespace="payments" or namespace="other"})', "t has `or` between its matchers"),
        ('sum({namespace="payments" or __name__="t"})', "{…} has `or` between its matchers"),
        ('{__name__=~".+"}', "{…} would read every namespace: write {$selector}"),
        ("sum(rate(t[5m:1m]))", "every namespace"),
        ("sum(t offset 5m)", "every namespace"),
        ("sum(t @ 5)", "every namespace"),
        ("sum(t{$selector} or u)", "u would read every namespace"),
        ("quantile(scalar(q), t{$selector})", "q would read every namespace"),
        ("topk(scalar(q), t{$selector})", "q would read every namespace"),
        ("clamp_max(t{$selector}, scalar(u))", "u would read every namespace"),
        ('label_replace(t, "x", "{namespace=\\"payments\\"}", "y", "z")', "t would read every namespace"),
        ('count_values("{namespace=\\"payments\\"}", t)', "t would read every namespace"),
        ("t # {namespace=\"payments\"}", "t would read every namespace"),
        ("sum(t{$selector}) + # hidden\nsum(u)", "u would read every namespace"),
        ("sum(t{namespace=`payments`})", "the query has a backtick: quote strings with double quotes"),
        (r'sum(t{namespace="pay\x6dents"})', "the query has the escape \\x in a string"),
        (r'sum(t{namespace="payments\u0000"})', "the query has the escape \\u in a string"),
        ('sum(t{path=~"/v2/.*\\.json",$selector})', "(a dot in a pattern is \\\\. or [.])"),
        ("sum(t{$selector})\x00", "control character"),
        ("sum(t{$selector})\r+ sum(u)", "control character"),
        ("info(t{$selector})", "info() reads series that the query does not name: leave it out"),
        ("sum(", "the query does not parse"),
        ("sum(t{$selector}) by", "the query does not parse"),
        ("sum(t{$selektor})", "the query does not parse"),
        ("", "the query does not parse"),
        ("vector(1)", "the query reads no metric"),
        ("time()", "the query reads no metric"),
        ("t{$selector}[5m]", "the query gives no number"),
        ("t{$selector}[5m:1m]", "the query gives no number"),
        ('"t{$selector}"', "the query"),
    ],
)  # fmt: skip
def test_bad_queries(query: str, said: str) -> None:
    check = Check.model_construct(name="c", query=query)
    found = promql.problems(check, "payments")
    assert found, query
    assert all(problem.startswith("check c: ") for problem in found)
    assert said in " ".join(found)


def test_a_preset_has_no_query_to_judge() -> None:
    assert promql.problems(Check.model_construct(name="errors", query=None), "payments") == []


def test_placeholders_are_replaced_once_and_whole() -> None:
    text = promql.substitute("a{$selector}[$window] $namespaces $1", 'namespace="$window"', "ns", "60s")
    assert text == 'a{namespace="$window"}[60s] $namespaces $1'


def test_metric_names_are_those_named_exactly() -> None:
    text = f'sum(a{{{NS}}}) / sum({{__name__="b",{NS}}}) + sum({{__name__=~"c.*",{NS}}}) + sum(a{{{NS}}}) + sum({{"d.e",{NS}}})'
    assert promql.metric_names(text) == ["a", "b", "d.e"]
    assert promql.metric_names("sum(") == []


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("orders", {"__name__": "orders", "x": "y"}, True),
        ("orders", {"__name__": "order"}, False),
        ('orders{state="paid"}', {"__name__": "orders", "state": "paid"}, True),
        ('orders{state="paid"}', {"__name__": "orders"}, False),
        ('orders{state!="paid"}', {"__name__": "orders"}, True),
        ('orders{state=~"pa.*",shop!~"t.*"}', {"__name__": "orders", "state": "paid", "shop": "main"}, True),
        ('orders{state=~"pa"}', {"__name__": "orders", "state": "paid"}, False),
    ],
)
def test_a_selector_matches_as_prometheus_does(text: str, labels: dict[str, str], matches: bool) -> None:
    named = promql.named(text)
    assert isinstance(named, promql.Named)
    assert named.matches(labels) is matches


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rate(orders[5m])", "is no plain selector of a counter"),
        ("orders[5m]", "is no plain selector of a counter"),
        ("orders offset 5m", "is no plain selector of a counter"),
        ('{__name__="orders"}', "is no plain selector of a counter"),
        ('orders{namespace="other"}', "matches namespace, which the operator does: leave it out"),
        ('orders{pod="x"}', "matches pod, which the operator does: leave it out"),
        ('orders{a="b" or namespace="other"}', "has `or` between its matchers"),
        ("orders{", "does not parse"),
        ("orders{a=`b`}", "backtick"),
    ],
)
def test_what_is_no_selector_of_one_counter_is_refused(text: str, problem: str) -> None:
    said = promql.named(text)
    assert isinstance(said, str)
    assert problem in said
