"""`seatrial presets`: what is known of model servers and gateways, and whether it is true of yours."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from seatrial.api.base import format_duration
from seatrial.api.spec import CheckPreset, MetricSource
from seatrial.cli.errors import CLUSTER, OK, SENT_BACK, USAGE, CliError
from seatrial.core.checks.preset import Counted, Preset, Template
from seatrial.core.checks.probe import KINDS, Aim, Report, Slow, questions, report
from seatrial.core.questions import MetricAnswer, MetricQuestion
from seatrial.metrics.presets import load
from seatrial.metrics.source import PrometheusSource

_HEAD = ("NAME", "KIND", "VERIFIED", "REQUESTS", "ERRORS", "LATENCY", "FIRST TOKEN", "BETWEEN TOKENS")


def main(args: argparse.Namespace, *, out: TextIO) -> int:
    """Run `presets`, `presets NAME` or `presets test NAME`."""
    words: list[str] = args.words
    as_json = args.output == "json"
    if words[:1] == ["test"] and len(words) == 2:
        return _test(_named(words[1]), args, as_json=as_json, out=out)
    if len(words) > 1 or words == ["test"]:
        raise CliError(f"one preset at a time: {args.command} presets NAME, or {args.command} presets test NAME", USAGE)
    if words:
        preset = _named(words[0])
        lines = [json.dumps(described(preset), indent=2, ensure_ascii=False)] if as_json else shown(preset)
    elif as_json:
        lines = [json.dumps([described(preset) for preset in load().values()], indent=2, ensure_ascii=False)]
    else:
        lines = table(load().values())
    print("\n".join(lines), file=out)
    return OK


def _named(name: str) -> Preset:
    presets = load()
    if name in presets:
        return presets[name]
    near = difflib.get_close_matches(name.lower(), presets, n=1, cutoff=0.5)
    meant = f": did you mean {near[0]}?" if near else f": there are {', '.join(presets)}"
    raise CliError(f"there is no preset {name}{meant}", USAGE)


# --- showing ----------------------------------------------------------------------------------------------------------


def rows(presets: Iterable[Preset]) -> list[tuple[str, ...]]:
    """The table's rows, as plain text."""
    return [
        (
            preset.name,
            _kind(preset),
            preset.verified or "unverified",
            "yes",
            "yes" if preset.errors else "no",
            _latency(preset),
            "yes" if preset.first_token else "no",
            "yes" if preset.inter_token else "no",
        )
        for preset in presets
    ]


def table(presets: Iterable[Preset]) -> list[str]:
    """The table of all presets."""
    have = [_HEAD, *rows(sorted(presets, key=lambda preset: (_kind(preset), preset.name)))]
    widths = [max(len(row[i]) for row in have) for i in range(len(_HEAD))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in have]


def _kind(preset: Preset) -> str:
    kind = "gateway" if preset.source is MetricSource.GATEWAY else "runtime"
    return f"{kind}, by query" if preset.only_by_query else kind


def _latency(preset: Preset) -> str:
    if preset.latency is not None:
        return f"buckets ({preset.latency.unit})"
    return f"mean only ({preset.mean.unit})" if preset.mean is not None else "no"


def shown(preset: Preset) -> list[str]:
    """All that is known of one preset."""
    out = [
        f"{preset.title}  {_kind(preset)}",
        f"verified with {preset.verified}: {preset.known_from}"
        if preset.verified
        else f"unverified: names from {preset.known_from}; no page of it was recorded",
        "",
    ]
    fields: list[tuple[str, str]] = []
    if preset.runtimes:
        fields.append(("spec.runtime", ", ".join(preset.runtimes)))
    fields.append(("scrape", preset.scrape))
    fields.append(("a revision's series", _selector(preset.selector)))
    if preset.copies is not None:
        fields.append(("copies of a shadow", _selector(preset.copies)))
    fields += [("requests", _series(one)) for one in preset.requests]
    fields += [("errors", _series(one)) for one in preset.errors] or [("errors", "not counted")]
    for kind, words in KINDS.items():
        if (timed := preset.timed(kind)) is not None:
            fields.append((words, f"{_series(timed)} ({timed.unit})"))
    if preset.mean is not None:
        counts = " + ".join(preset.mean.count)
        fields.append(("mean time", f"{preset.mean.sum} / {counts} ({preset.mean.unit}); p95 is unavailable"))
    if preset.saturation:
        fields.append(("how full it is", ", ".join(preset.saturation)))
    width = max(len(name) for name, _ in fields)
    out += [f"{name.ljust(width)}  {value}" for name, value in fields]
    if preset.only_by_query:
        out += ["", f"No check reads it by itself: {preset.only_by_query}."]
    for title, sentences in (("Not counted", preset.excludes), ("It cannot tell", preset.cannot_tell)):
        out += ["", title, *(f"- {sentence}" for sentence in sentences)]
    if preset.templates:
        out += ["", "Checks to copy; the bounds are examples"]
        out += [line for template in preset.templates for line in _check(template)]
    return out


def _selector(selector: Mapping[str, str]) -> str:
    return (
        "{" + ",".join(f'{k}{"=~" if _pattern(v) else "="}"{v.removeprefix("~")}"' for k, v in selector.items()) + "}"
    )


def _pattern(template: str) -> bool:
    return "$pods" in template or template.startswith("~")


def _series(counted: Counted) -> str:
    matchers = [f'{label}=~"{pattern}"' for label, pattern in counted.only.items()]
    matchers += [f'{label}!~"{pattern}"' for label, pattern in counted.never.items()]
    return counted.metric + ("{" + ",".join(matchers) + "}" if matchers else "")


def _check(template: Template) -> list[str]:
    bounds = [f'{name}: "{value}"' for name, value in (("min", template.min), ("max", template.max)) if value]
    return [f"  # {template.why}", f"  - {{name: {template.name}, query: '{template.query}', {', '.join(bounds)}}}"]


def described(preset: Preset) -> dict[str, Any]:
    """The same as data."""

    def series(counted: Counted) -> dict[str, Any]:
        return {"metric": counted.metric, "only": dict(counted.only), "never": dict(counted.never)}

    timed = {kind: one for kind in KINDS if (one := preset.timed(kind)) is not None}
    return {
        "name": preset.name,
        "title": preset.title,
        "source": preset.source.value,
        "runtimes": [runtime.value for runtime in preset.runtimes],
        "verified": preset.verified or None,
        "knownFrom": preset.known_from,
        "scrape": preset.scrape,
        "selector": dict(preset.selector),
        "requests": [series(one) for one in preset.requests],
        "errors": [series(one) for one in preset.errors],
        "timed": {kind.value: {**series(one), "unit": one.unit} for kind, one in timed.items()},
        "mean": None
        if preset.mean is None
        else {"sum": preset.mean.sum, "count": list(preset.mean.count), "unit": preset.mean.unit},
        "saturation": list(preset.saturation),
        "onlyByQuery": preset.only_by_query or None,
        "excludes": list(preset.excludes),
        "cannotTell": list(preset.cannot_tell),
        "queries": [
            {"name": t.name, "why": t.why, "query": t.query, "min": t.min or None, "max": t.max or None}
            for t in preset.templates
        ],
    }


# --- trying -----------------------------------------------------------------------------------------------------------


def _test(preset: Preset, args: argparse.Namespace, *, as_json: bool, out: TextIO) -> int:
    for option in ("prometheus", "namespace", "model"):
        if not getattr(args, option):
            raise CliError(f"presets test needs --{option}", USAGE)
    aim = Aim(args.namespace, args.model, args.revision, args.served, args.route)
    window: timedelta = args.window
    now = datetime.now(UTC)
    answers = asyncio.run(_ask(args.prometheus, questions(preset, aim, now, window)))
    found = report(preset, aim, now, window, answers)
    if found.failed:
        raise CliError(found.failed, CLUSTER)
    if as_json:
        print(json.dumps(_as_data(found), indent=2, ensure_ascii=False), file=out)
    else:
        print("\n".join(_tried(preset, aim, window, found)), file=out)
    return OK if found.usable else SENT_BACK


async def _ask(url: str, asked: Sequence[MetricQuestion]) -> dict[str, MetricAnswer]:
    source = PrometheusSource(url)
    try:
        return (await source.answer(asked))[0]
    finally:
        source.close()


def _tried(preset: Preset, aim: Aim, window: timedelta, found: Report) -> list[str]:
    who = f"{aim.namespace}/{aim.name}" + (f" revision {aim.revision}" if aim.revision else ", all revisions")
    out = [f"{preset.called} for {who}", ""]
    width = max(len(one.metric) for one in found.seen)
    for one in found.seen:
        if one.series:
            said = f"{one.series} series"
        elif not one.needed:
            said = "no series yet, which counts as none"
        else:
            near = f"; nearest names: {', '.join(one.nearest)}" if one.nearest else ""
            said = f"no series{near}\n    looked for {one.selector}"
        out.append(f"{'✔' if one.series or not one.needed else '✘'} {one.metric.ljust(width)}  {one.reads}: {said}")
    out += ["", f"Over the last {format_duration(window)} it would count"]
    if found.errors is None:
        out.append("  nothing")
    else:
        out.append(f"  {found.errors.total:,} requests")
        out.append(
            f"  {found.errors.events:,} errors" if preset.errors else "  no errors, since it has no counter of them"
        )
    out += [f"  {_slow(slow)}" for slow in found.slow]
    if found.missing:
        out += ["", "Missing", *(f"- {sentence}" for sentence in found.missing)]
    if preset.only_by_query:
        out += ["", f"No check reads it by itself: {preset.only_by_query}."]
    return out


def _slow(slow: Slow) -> str:
    what = {
        CheckPreset.LATENCY: "answers",
        CheckPreset.FIRST_TOKEN: "first tokens",
        CheckPreset.INTER_TOKEN: "gaps between tokens",
    }[slow.kind]
    return f"{slow.tally.events:,} of {slow.tally.total:,} {what} slower than {float(slow.edge):g}{slow.unit}, the edge nearest their p95"


def _as_data(found: Report) -> dict[str, Any]:
    return {
        "usable": found.usable,
        "metrics": [
            {
                "metric": one.metric,
                "reads": one.reads,
                "selector": one.selector,
                "series": one.series,
                "needed": one.needed,
                "nearest": list(one.nearest),
            }
            for one in found.seen
        ],
        "requests": None if found.errors is None else found.errors.total,
        "errors": None if found.errors is None else found.errors.events,
        "timed": {
            slow.kind.value: {
                "slowerThan": slow.edge,
                "unit": slow.unit,
                "slow": slow.tally.events,
                "total": slow.tally.total,
            }
            for slow in found.slow
        },
        "missing": list(found.missing),
    }
