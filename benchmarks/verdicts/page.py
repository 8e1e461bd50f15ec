"""What was measured, as it stands on docs/verdicts.md: tables and charts of the numbers in docs/measured/verdicts.json.

Everything here is made from that file alone, so that a test can say that the page shows it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.verdicts.charts import bars, scatter, strips
from benchmarks.verdicts.rates import Rate, percent

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, FOLDER = DOCS / "verdicts.md", DOCS / "measured"
NUMBERS = FOLDER / "verdicts.json"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
NAMES = {
    "sketch": "first sketch",
    "restarted": "first sketch, with restarts",
    "argo": "limit, 4th bad minute (Argo Rollouts)",
    "flagger": "limit, 5th bad minute (Flagger)",
    "z": "z-test at every minute",
    "ranks": "Mann–Whitney (Kayenta)",
}
SHORT = {
    "sketch": "sketch",
    "restarted": "restarts",
    "argo": "Argo",
    "flagger": "Flagger",
    "z": "z",
    "ranks": "Kayenta",
}
WRONG = 0.01
"""Most wrong rollbacks that are promised."""
LOOK = 0.25
"""Minutes between looks."""
Measured = dict[str, Any]
"""The numbers as JSON keeps them."""


def write(text: str) -> None:
    """The numbers, the charts and the page."""
    FOLDER.mkdir(exist_ok=True)
    NUMBERS.write_text(text + "\n", encoding="utf-8")
    measured = json.loads(text)
    for name, drawn in charts(measured).items():
        (FOLDER / name).write_text(drawn, encoding="utf-8")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), measured), encoding="utf-8")


def with_tables(page: str, measured: Measured) -> str:
    """The page with these numbers."""
    before, after = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END) :]
    return f"{before}\n{tables(measured)}\n{after}"


def charts(measured: Measured) -> dict[str, str]:
    """Each chart's file name and text."""
    hours = measured["hour"]
    wrong = {
        "Seatrial": [_rate(row["wrong"]).share for row in hours],
        "Seatrial, twelve checks": [_rate(row["wrong_of_many"]).share for row in hours],
    }
    wrong |= {NAMES[key]: [_rate(row["others_wrong"][key]).share for row in hours] for key in NAMES}
    points = [
        (row["minutes"], row["others_found"]["sketch"], _rate(row["others_wrong"]["sketch"]).share <= WRONG)
        for row in hours
    ]
    late = measured["late"][1]
    groups = {"Seatrial": late["minutes"], "sketch": late["sketch"], "sketch with restarts": late["restarted"]}
    scores = measured["scores"]
    rates = [f"{row['rate']} scores a minute" for row in scores]
    drifted = {
        name: [_rate(row[key]["same"]).share for row in scores]
        for name, key in (("the drift check", "failed"), ("PSI > 0.2", "called"))
    }
    return {
        "wrong.svg": strips("A candidate as good as stable is sent back within an hour: each dot is a cell", wrong, 2),
        "speed.svg": scatter("Minutes until a candidate four points worse is sent back: each dot is a cell", points),
        "late.svg": bars(f"Minutes from a fault to the rollback ({_late(late)})", ("at once", "after 30 min", "after 120 min"), groups),
        "scores.svg": bars("Candidates called drifted within an hour whose scores did not change", rates, drifted, percent),
    }  # fmt: skip


def tables(measured: Measured) -> str:
    """All of it as Markdown."""
    sections: dict[str, Callable[[Any], list[str]]] = {
        "hour": lambda rows: [
            "![How often each judge sends back a good candidate](measured/wrong.svg)",
            _summary(rows),
        ],
        "trials": lambda rows: ["### Whole trials", _steps(rows)],
        "speed": lambda rows: [
            "### How soon a bad one is found",
            "![Minutes to find a bad candidate, beside the sketch](measured/speed.svg)",
            _losses(measured),
            _details("Every cell of the hour at one weight", _hours(rows)),
        ],
        "late": lambda rows: [
            "### Faults that begin late",
            "![Minutes from a fault to the rollback](measured/late.svg)",
            _lates(rows),
        ],
        "replays": lambda _: ["### Raw counters", _replays(measured)],
        "scores": lambda rows: ["### Scores", *_scores(rows)],
    }
    have = {**measured, "speed": measured["hour"]}
    parts = [part for name, section in sections.items() if have[name] for part in section(have[name])]
    return "\n\n".join([_told(measured), *parts])


def _told(measured: Measured) -> str:
    hours, steps = measured["hour"], measured["trials"]
    twelve = _sum(row["wrong_of_many"] for row in hours)
    whole, bad = _sum(row["wrong"] for row in steps), _sum(row["bad_accepted"] for row in steps)
    missed = measured["missed"]
    said = (
        f"Of {twelve.of:,} trials of twelve checks at one weight for an hour, {twelve.hits:,} sent back a good candidate "
        f"({percent(twelve.share)}; with 95 % confidence below {percent(twelve.most)}). Of {whole.of:,} whole trials {whole.hits:,} did "
        f"({percent(whole.share)}, below {percent(whole.most)}), and {bad.hits:,} of {bad.of:,} accepted a candidate that was twice the "
        f"margin worse ({percent(bad.share)}, below {percent(bad.most)}). A cell of {measured['runs']} trials without a wrong one proves "
        f"less than {percent(Rate(0, measured['runs']).most)}, one of {measured['many']} trials of twelve checks less than "
        f"{percent(Rate(0, measured['many']).most)}: to prove 1 % takes 300. A rate's bound stands in brackets."
    )
    if not missed:
        return f"{said}\n\n**No target was missed.**"
    return "\n\n".join([said, f"**Targets missed: {len(missed)}.**", "\n".join(f"* {line}" for line in missed)])


def _summary(hours: Sequence[Measured]) -> str:
    rows = [_judge("Seatrial, one check", [row["wrong"] for row in hours])]
    rows.append(_judge("Seatrial, twelve checks", [row["wrong_of_many"] for row in hours]))
    rows += [_judge(f"{name}, one check", [row["others_wrong"][key] for row in hours]) for key, name in NAMES.items()]
    return _table(("A good candidate is sent back by", "all cells", "worst cell", "cells above 1 %"), rows)


def _judge(name: str, rates: Sequence[Measured]) -> list[str]:
    have = [_rate(rate) for rate in rates]
    every, worst = sum(have, Rate(0, 0)), max(have, key=lambda rate: rate.share)
    above = sum(rate.share > WRONG for rate in have)
    return [name, percent(every.share), percent(worst.share), f"{above} of {len(have)}"]


def _steps(rows: Sequence[Measured]) -> str:
    columns = (
        "requests/s",
        "errors",
        "clumps",
        "good: sent back",
        "told that it will be slow",
        "not told: accepted in 30 min",
        "told: accepted in 30 min",
        "accepted after, min",
        "twice the margin worse: accepted",
        "sent back in the hour",
    )
    out = []
    for row in rows:
        accepted, late = _rate(row["accepted"]), _rate(row["late"])
        out.append(
            [
                f"{row['cell']['rate']:g}",
                f"{100 * row['cell']['base']:g} %",
                f"{row['cell']['clump']:g}",
                _bounded(row["wrong"]),
                percent(_rate(row["warned"]).share),
                f"{percent(accepted.share)} of {accepted.of:,}" if accepted.of else "–",
                percent(late.share) if late.of else "–",
                _minutes(row["minutes"]),
                _bounded(row["bad_accepted"]),
                percent(_rate(row["bad_back"]).share),
            ]
        )
    return _table(columns, out)


def _losses(measured: Measured) -> str:
    losses, hours = measured["losses"], measured["hour"]
    slower = [sum(_slower(row, key) for row in hours) for key in ("sketch", "restarted")]
    head = (
        f"The first sketch is quicker by more than a look (15 s) in {slower[0]} of {len(hours)} cells, but deaf after healthy hours (below). "
        f"Begun anew every five minutes it is not, and quicker in {slower[1]}."
    )
    if not losses:
        return head
    broken = sum(_rate(one["wrong"]["sketch"]).share > WRONG for one in losses)
    head += (
        f" **These {len(losses)} are losses.** In {broken} of them the sketch sends back more than 1 % of good candidates; in the others "
        "it is simply quicker."
    )
    columns = (
        "Cell",
        "Seatrial, min",
        "sketch, min",
        "its wrong rollbacks",
        "with restarts, min",
        "its wrong rollbacks",
    )
    rows = [
        [
            one["told"],
            _minutes(one["minutes"]),
            *(
                text
                for key in ("sketch", "restarted")
                for text in (_minutes(one["others"][key]), _bounded(one["wrong"][key]))
            ),
        ]
        for one in losses
    ]
    return f"{head}\n\n{_table(columns, rows)}"


def _slower(row: Measured, key: str) -> bool:
    other = row["others_found"][key]
    return other is not None and (row["minutes"] is None or row["minutes"] > other + LOOK)


def _hours(rows: Sequence[Measured]) -> str:
    columns = (
        "requests/s",
        "weight",
        "errors",
        "clumps",
        "sent back: one check",
        "twelve",
        *SHORT.values(),
        "+4 points found after, min",
        *SHORT.values(),
    )
    out = [
        [
            f"{row['cell']['rate']:g}",
            f"{row['cell']['weight']:g} %",
            f"{100 * row['cell']['base']:g} %",
            f"{row['cell']['clump']:g}",
            percent(_rate(row["wrong"]).share),
            _bounded(row["wrong_of_many"]),
            *(percent(_rate(row["others_wrong"][key]).share) for key in SHORT),
            _minutes(row["minutes"]),
            *(_minutes(row["others_found"][key]) for key in SHORT),
        ]
        for row in rows
    ]
    return _table(columns, out)


def _late(row: Measured) -> str:
    cell = row["cell"]
    clumps = f" in clumps of {cell['clump']:g}" if cell["clump"] > 1 else ""
    return (
        f"{cell['rate']:g} rps, {cell['weight']:g} % weight, {100 * cell['base']:g} → {100 * row['share']:g} %{clumps}"
    )


def _lates(rows: Sequence[Measured]) -> str:
    columns = ("Fault", "Seatrial: at once", "after 30 min", "after 120 min", "sketch", "sketch with restarts")
    out = [
        [
            _late(row),
            *(_minutes(minutes) for minutes in row["minutes"]),
            *(" · ".join(_minutes(minutes) for minutes in row[key]) for key in ("sketch", "restarted")),
        ]
        for row in rows
    ]
    return _table(columns, out)


def _replays(measured: Measured) -> str:
    columns = (
        "What happens",
        "good: sent back",
        "told that it will be slow",
        "not told: accepted in 30 min",
        "twice the margin worse: accepted",
        "+4 points: sent back",
    )
    rows = [
        [
            measured["worlds"][row["name"]],
            _bounded(row["wrong"]),
            percent(_rate(row["warned"]).share),
            percent(_rate(row["accepted"]).share) if _rate(row["accepted"]).of else "–",
            _bounded(row["bad_accepted"]),
            percent(_rate(row["found"]).share),
        ]
        for row in measured["replays"]
    ]
    slides = [
        f"Ten releases in a row, each a quarter of the margin worse than the one before: {_rate(one['accepted']).hits} of "
        f"{_rate(one['accepted']).of} were accepted, and errors went from 1 % to {100 * one['share']:.2f} %. A trial compares two "
        "revisions, and cannot see a slope: **this is a loss**. A ceiling (`max`) ends it."
        for one in measured["slide"]
    ]
    return "\n\n".join([_table(columns, rows), *slides])


KINDS = {
    "same": "nothing changed",
    "refit": "recalibrated",
    "skew": "wrong features",
    "tail": "60 % of the top is gone",
}
"""Candidates whose scores are compared."""


def _scores(rows: Sequence[Measured]) -> list[str]:
    columns = [f"{name}: {said}" for name in KINDS.values() for said in ("PSI > 0.2", "the check")]
    out = []
    for row in rows:
        cells = [(percent(_rate(row["called"][key]).share), _checked(row, key)) for key in KINDS]
        out.append([str(row["rate"]), *(cell for both in cells for cell in both)])
    false = _sum(row["failed"]["same"] for row in rows)
    called = _sum(row["called"]["same"] for row in rows)
    said = (
        f"Of {false.of:,} candidates whose scores are stable's, a limit of PSI > 0.2 calls {percent(called.share)} drifted within the "
        f"hour, and the drift check {percent(false.share)} (below {percent(false.most)}): where there are too few scores to know, it "
        "waits. *Wrong features* move PSI by more than 1, *recalibrated* by less than 0.1, which the check's limit of 0.25 allows. Neither "
        "sees that 60 % of the top is gone, 0.2 % of all scores: a share of the decisions does ([drift](drift.md#what-it-cannot-see))."
    )
    chart = "![How often scores that did not change are called drifted](measured/scores.svg)"
    return [said, chart, _table(("scores of the candidate a minute", *columns), out)]


def _checked(row: Measured, key: str) -> str:
    """`fails 100 % (8.0 min)`, `passes 98 % (14.0 min)`, both, or that it waits."""
    shares = {said: _rate(row[said][key]).share for said in ("failed", "passed")}
    told = [
        f"{word} {percent(shares[said])}" for said, word in (("failed", "fails"), ("passed", "passes")) if shares[said]
    ]
    if not told:
        return "waits"
    minutes = row["minutes"][key]
    return " and ".join(told) + ("" if minutes is None else f" ({_minutes(minutes)} min)")


def _details(title: str, table: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{table}\n\n</details>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(
        [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    )


def _rate(have: Measured) -> Rate:
    return Rate(have["hits"], have["of"])


def _sum(rates: Iterable[Measured]) -> Rate:
    return sum((_rate(rate) for rate in rates), Rate(0, 0))


def _bounded(have: Measured) -> str:
    rate = _rate(have)
    return f"{percent(rate.share)} (< {percent(rate.most)})" if rate.share < 0.05 else percent(rate.share)


def _minutes(minutes: float | None) -> str:
    return "–" if minutes is None else f"{minutes:.1f}"
