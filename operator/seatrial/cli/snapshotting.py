"""`seatrial snapshot`: how a model's predictions were distributed when it was trained, as a ConfigMap."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from seatrial.cli.errors import CLUSTER, OK, USAGE, CliError
from seatrial.cli.manifests import written

if TYPE_CHECKING:
    from seatrial.core.checks.predictions import Subject
    from seatrial.core.questions import Series
    from seatrial.core.snapshot import Snapshot

_HALF = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4)
SCORES = (*_HALF, 0.5, *(round(1 - edge, 5) for edge in reversed(_HALF)), 1.0)
"""The edges of seatrial-scores, which is a distribution of its own; a test holds them together."""
CHUNK = timedelta(hours=1)
"""Raw samples of so much time are asked for at once."""
PATIENCE = 30.0
"""Seconds for one answer."""
LONGEST = timedelta(hours=168)
SHORTEST = timedelta(minutes=10)
_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")

EXAMPLE = """\
A model does not know that the world has moved on. A snapshot keeps how its predictions were distributed in training, and
`spec.analysis.live` holds what it predicts now against it: an alert says when to retrain.

  # In training, once the model is fitted: the predictions on data it was not fitted to.
  #   pd.DataFrame({"score": model.predict_proba(X_test)[:, 1]}).to_csv("scores.csv", index=False)
  seatrial snapshot fraud --file scores.csv --column score --histogram model_score --model-version 2026-11-20 -o snapshot.yaml
  kubectl apply -f snapshot.yaml

  # The same buckets as the metric has: those of seatrial-scores where nothing is said, else a list, or the metric's own.
  seatrial snapshot fraud --file scores.parquet --column score --histogram model_score --edges 0.1,0.5,0.9,0.99
  seatrial snapshot fraud -n payments --file scores.csv --column score --histogram model_score --edges-from http://localhost:9090

  # Decisions, by class.
  seatrial snapshot fraud --file scores.csv --column decision --classes model_decisions_total --by decision

  # No training set at hand: the revision that serves, in a week in which all was well.
  seatrial snapshot fraud -n payments --from-prometheus http://localhost:9090 --window 168h --histogram model_score

then in the ModelDeployment, with the name that was printed:
  spec:
    analysis:
      live:
      - {name: scores, drift: {histogram: model_score}, snapshot: {name: fraud-model-score-3f9a1c20b7}}

The name ends with the hash of what it holds, so that a snapshot that was changed is noticed. Nothing is written to the cluster.
Parquet needs pyarrow: pip install 'seatrial[parquet]'."""


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """The options of `snapshot`."""
    what = sub.add_argument_group("which predictions")
    what.add_argument(
        "--histogram", default="", metavar="METRIC", help="the live metric: a histogram without its _bucket"
    )
    what.add_argument("--classes", default="", metavar="METRIC", help="or a counter by class, with --by")
    what.add_argument("--by", default="", metavar="LABEL", help="the label of --classes that names the class")
    what.add_argument(
        "--model-version", default="", metavar="V", help="the version they belong to (spec.model.version)"
    )
    table = sub.add_argument_group("from a table")
    table.add_argument(
        "--file", default="", metavar="FILE", help="CSV with a header, TSV or Parquet; a row is a prediction"
    )
    table.add_argument("--column", default="", metavar="COLUMN", help="the column of the predictions")
    table.add_argument(
        "--edges", default="", metavar="E,E,…", help="upper edges of the buckets, ascending (those of seatrial-scores)"
    )
    table.add_argument("--edges-from", default="", metavar="URL", help="a Prometheus whose metric has the buckets")
    past = sub.add_argument_group("from the past")
    past.add_argument(
        "--from-prometheus", default="", metavar="URL", help="count what the revision that serves predicted"
    )
    past.add_argument("--window", type=_time, default="24h", metavar="TIME", help="how much of it, 10m to 168h (24h)")
    past.add_argument(
        "--revision", default="", metavar="REVISION", help="another revision; the cluster is not asked then"
    )
    past.add_argument("--revision-label", default="", metavar="LABEL", help="as in drift.revisionLabel")
    out = sub.add_argument_group("what is written")
    out.add_argument(
        "--name", default="", metavar="NAME", help="begin the ConfigMap's name so (the model and the metric)"
    )
    out.add_argument("-o", "--out", metavar="FILE", help="write the ConfigMap here instead of standard output")


def _time(text: str) -> timedelta:
    from seatrial.cli.raw import parse_duration  # noqa: PLC0415

    value = parse_duration(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90m, 24h or 168h")
    return value


def main(args: argparse.Namespace, out: TextIO, err: TextIO) -> int:
    """Carry out `snapshot`."""
    from seatrial.core import snapshot  # noqa: PLC0415

    _held_together(args)
    subject = _subject(args)
    prefix = args.name or f"{args.name_of}-{subject.named.metric}".lower().replace("_", "-").replace(":", "-")
    if not _NAME.match(prefix):
        raise CliError(f"--name {prefix!r} is no name: lower-case letters, digits, '-' and '.' are allowed", USAGE)
    try:
        made = _from_prometheus(args, subject) if args.from_prometheus else _from_file(args, subject)
        manifest = snapshot.build(prefix, args.namespace or None, made)
        blind = made.bins().blind
    except snapshot.SnapshotError as error:
        raise CliError(f"{args.file or args.from_prometheus}: {error}", USAGE) from None
    text = written(manifest, width=2**20)
    if args.out is None:
        out.write(text)
    else:
        try:
            Path(args.out).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CliError(f"{args.out} cannot be written: {error.strerror}", USAGE) from None
    name, what = manifest["metadata"]["name"], "classes" if made.by else "buckets"
    size = sum(len(key) + len(value.encode()) for key, value in manifest["data"].items())
    print(
        f"Counted {made.total:,} predictions in {len(made.counts)} {what} ({made.source}): ConfigMap {name}, {size:,} bytes.",
        file=err,
    )
    if blind:
        print(f"It {blind}.", file=err)
    drift = f"classes: {args.classes}, by: {args.by}" if made.by else f"histogram: {_quoted(args.histogram)}"
    print(f"In spec.analysis.live: - {{name: scores, drift: {{{drift}}}, snapshot: {{name: {name}}}}}", file=err)
    return OK


def _quoted(text: str) -> str:
    return f"'{text}'" if "{" in text else text


def _held_together(args: argparse.Namespace) -> None:
    """Options that exclude or need each other."""
    if bool(args.histogram) == bool(args.classes) or bool(args.classes) != bool(args.by):
        raise CliError("which predictions? give --histogram METRIC, or --classes METRIC and --by LABEL", USAGE)
    if bool(args.file) == bool(args.from_prometheus):
        raise CliError("where from? give --file FILE and --column COLUMN, or --from-prometheus URL", USAGE)
    if args.from_prometheus:
        more = [name for name in ("column", "edges", "edges_from") if getattr(args, name)]
        if more:
            option = more[0].replace("_", "-")
            raise CliError(f"--{option} belongs to --file: from Prometheus the metric brings its own buckets", USAGE)
        if not SHORTEST <= args.window <= LONGEST:
            raise CliError("--window: it is 10m to 168h", USAGE)
        return
    if not args.column:
        raise CliError(f"--column: which column of {args.file} holds the predictions?", USAGE)
    if args.edges and args.edges_from:
        raise CliError("--edges and --edges-from exclude each other", USAGE)
    if args.classes and (args.edges or args.edges_from):
        raise CliError("classes have no edges: leave --edges and --edges-from out", USAGE)
    if args.revision or args.revision_label:
        raise CliError("--revision and --revision-label belong to --from-prometheus", USAGE)


def _subject(args: argparse.Namespace) -> Subject:
    from pydantic import ValidationError  # noqa: PLC0415

    from seatrial.api.spec import Drift  # noqa: PLC0415
    from seatrial.core.checks.predictions import subject_of  # noqa: PLC0415

    try:
        drift = Drift(
            histogram=args.histogram or None,
            classes=args.classes or None,
            by=args.by or None,
            revision_label=args.revision_label or None,
        )
    except ValidationError as error:
        raise CliError(f"{error.errors()[0]['input']!r}: {error.errors()[0]['msg']}", USAGE) from None
    subject = subject_of("snapshot", drift)
    if isinstance(subject, str):
        raise CliError(subject, USAGE)
    return subject


# --- from a table -----------------------------------------------------------------------------------------------------


def _from_file(args: argparse.Namespace, subject: Subject) -> Snapshot:
    from seatrial.cli.columns import column  # noqa: PLC0415
    from seatrial.core.snapshot import Snapshot  # noqa: PLC0415

    values = column(args.file, args.column)
    source = f"{Path(args.file).name}, column {args.column}"
    if subject.by is not None:
        found = count_classes(values)
        ordered = sorted(found, key=lambda name: (-found[name], name))
        return Snapshot(
            metric=subject.named.metric,
            by=subject.by,
            classes=tuple(ordered),
            counts=tuple(found[name] for name in ordered),
            model_version=args.model_version,
            source=source,
        )
    if args.edges_from:
        spelled = _edges_of(args, subject)
    else:
        spelled = tuple(args.edges.split(",")) if args.edges else tuple(f"{edge:.10g}" for edge in SCORES)
    edges = _numbers(spelled)
    scores_only = not args.edges and not args.edges_from
    return Snapshot(
        metric=subject.named.metric,
        edges=tuple(edge.strip() for edge in spelled),
        counts=tuple(count_numbers(values, edges, scores_only=scores_only)),
        model_version=args.model_version,
        source=source,
    )


def _numbers(spelled: Sequence[str]) -> list[float]:
    try:
        edges = [float(edge) for edge in spelled]
    except ValueError as error:
        raise CliError(f"--edges: {error}; give numbers, such as 0.1,0.5,0.9", USAGE) from None
    if not all(math.isfinite(edge) for edge in edges) or any(a >= b for a, b in itertools.pairwise(edges)):
        raise CliError("--edges: they are finite and rise, and the last bucket has none", USAGE)
    return edges


def count_numbers(values: Iterable[tuple[str, object]], edges: Sequence[float], *, scores_only: bool) -> list[int]:
    """Predictions by bucket: an upper edge belongs to its bucket, as `le` has it."""
    counts = [0] * (len(edges) + 1)
    for place, value in values:
        try:
            number = float(value)  # type: ignore[arg-type] # whatever it is, it is told
        except (TypeError, ValueError):
            number = math.nan
        if math.isnan(number):
            raise CliError(f"{place}: {value!r} is no prediction: leave such rows out", USAGE)
        if scores_only and not 0 <= number <= 1:
            raise CliError(
                f"{place}: {number:g} is no score from 0 to 1, which the edges of seatrial-scores are for: give the metric's own "
                "with --edges or --edges-from",
                USAGE,
            )
        counts[bisect_left(edges, number)] += 1
    return counts


def count_classes(values: Iterable[tuple[str, object]]) -> Counter[str]:
    """Predictions by class."""
    from seatrial.core.snapshot import MOST_BUCKETS  # noqa: PLC0415

    found: Counter[str] = Counter()
    for place, value in values:
        name = "" if value is None else str(value)
        if not name:
            raise CliError(f"{place}: there is no class: leave such rows out", USAGE)
        found[name] += 1
        if len(found) > MOST_BUCKETS:
            raise CliError(
                f"{place}: there are more than {MOST_BUCKETS} classes up to here; for numbers use --histogram", USAGE
            )
    return found


# --- from Prometheus --------------------------------------------------------------------------------------------------


def _from_prometheus(args: argparse.Namespace, subject: Subject) -> Snapshot:
    from seatrial.core import counters, histograms  # noqa: PLC0415
    from seatrial.core.questions import NoData  # noqa: PLC0415
    from seatrial.core.snapshot import Snapshot  # noqa: PLC0415

    namespace, revision = _who(args)
    end = _now()
    selector = _selector(args, subject, namespace, revision)
    begin, by_class, marks = end - args.window, Counter[str](), tuple[str, ...]()
    counts: list[int] = []
    start = begin
    while start < end:
        until = min(end, start + CHUNK)
        series = _ask(args.from_prometheus, selector, start, until)
        seen, first, last = counters.scrapes(series), start.timestamp(), until.timestamp()
        start = until
        if subject.by is not None:
            for one in counters.without_copies(histograms.class_rows(series, subject.named, subject.by, ())):
                steps = histograms.increments(one, 1, first, last, seen, {})
                by_class[one.labels.get(subject.by, "")] += round(math.fsum(more[0] for _, more in steps))
            continue
        edges = histograms.edges(series, subject.named)
        if not marks and edges:
            marks = tuple(edges[edge] for edge in sorted(edges))
            counts = [0] * (len(marks) + 1)
        rows = subject.rows(series, marks) if marks else []
        if isinstance(rows, NoData):
            raise CliError(f"the buckets changed within the window: {rows.message}. Choose a shorter --window", USAGE)
        for row in counters.without_copies(rows):
            for _, more in histograms.increments(row, len(counts), first, last, seen, {}):
                counts = [a + round(b) for a, b in zip(counts, more, strict=True)]
    if not sum(counts) + sum(by_class.values()):
        raise CliError(
            f"revision {revision} of {namespace}/{args.name_of} has no predictions in {args.from_prometheus}: looked for {selector}",
            USAGE,
        )
    ordered = sorted((name for name in by_class if name), key=lambda name: (-by_class[name], name))
    return Snapshot(
        metric=subject.named.metric,
        by=subject.by or "",
        classes=tuple(ordered),
        edges=marks,
        counts=tuple(by_class[name] for name in ordered) if subject.by is not None else tuple(counts),
        model_version=args.model_version,
        source=f"revision {revision}, {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
    )


def _who(args: argparse.Namespace) -> tuple[str, str]:
    """Namespace and revision; the cluster is asked for the one that serves."""
    if args.revision and args.namespace:
        return args.namespace, args.revision
    from seatrial.cli.access import Cluster, Where  # noqa: PLC0415
    from seatrial.cli.reading import Reading  # noqa: PLC0415

    cluster = Cluster(Where(args.namespace, args.context, args.kubeconfig))
    args.namespace = cluster.namespace
    if args.revision:
        return cluster.namespace, args.revision
    reading = Reading(cluster.get(args.name_of))
    if not reading.stable:
        raise CliError(f"no revision of {args.name_of} serves yet, so nothing of it was counted: use --file", USAGE)
    return cluster.namespace, reading.stable


def _selector(args: argparse.Namespace, subject: Subject, namespace: str, revision: str) -> str:
    from seatrial.api.spec import Runtime  # noqa: PLC0415
    from seatrial.core.checks.base import Arm, Situation  # noqa: PLC0415
    from seatrial.core.checks.reading import ALL, matching  # noqa: PLC0415

    arm, now = Arm(revision, "a"), _now()
    here = Situation(
        namespace=namespace,
        name=args.name_of,
        stable=arm,
        candidate=arm,
        runtime=Runtime.CUSTOM,
        model_name=None,
        weight=0.0,
        last=False,
        concurrent=True,
        min_samples=1,
        settled=True,
        confirmed_at=None,
        start=now,
        now=now,
    )
    return matching(subject.preset, (*subject.metrics, subject.preset.proof), ALL, arm, here)


def _edges_of(args: argparse.Namespace, subject: Subject) -> tuple[str, ...]:
    """The buckets that the live metric has, of any revision."""
    from seatrial.cli.access import Cluster, Where  # noqa: PLC0415
    from seatrial.core import histograms  # noqa: PLC0415
    from seatrial.core.checks.preset import literal, quote  # noqa: PLC0415

    if not args.namespace:
        args.namespace = Cluster(Where("", args.context, args.kubeconfig)).namespace
    names = "|".join(literal(name) for name in subject.metrics)
    pods = quote(f"{literal(args.name_of)}-.*")
    selector = f"{{__name__=~{quote(names)},namespace={quote(args.namespace)},pod=~{pods}}}"
    now = _now()
    found = histograms.edges(_ask(args.edges_from, selector, now - CHUNK, now), subject.named)
    if not found:
        raise CliError(f"--edges-from: {args.edges_from} has no buckets in the last hour for {selector}", USAGE)
    return tuple(found[edge] for edge in sorted(found))


def _now() -> datetime:
    return datetime.now(UTC)


def _ask(url: str, selector: str, start: datetime, end: datetime) -> tuple[Series, ...]:
    from seatrial.core.checks.reading import whole  # noqa: PLC0415
    from seatrial.core.questions import CounterQuestion, Counters  # noqa: PLC0415
    from seatrial.metrics.source import PrometheusSource  # noqa: PLC0415

    source = PrometheusSource(url, timeout=PATIENCE)
    try:
        answers, _ = asyncio.run(source.answer([CounterQuestion("past", selector, start, end)]))
    finally:
        source.close()
    answer = whole(answers, "past", f"{start:%Y-%m-%d %H:%M} to {end:%H:%M}")
    if not isinstance(answer, Counters):
        raise CliError(answer.message, CLUSTER)
    return answer.series
