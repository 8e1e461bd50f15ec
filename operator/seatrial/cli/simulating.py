"""`seatrial simulate`: how a plan would do, before anybody waits for it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, TextIO

from seatrial.cli import moving, numbers
from seatrial.cli.errors import OK, USAGE, CliError
from seatrial.cli.lint import documents
from seatrial.core.checks.forecast import PLAINLY

if TYPE_CHECKING:
    from seatrial.simulate.course import Course
    from seatrial.simulate.predictions import Shares
    from seatrial.simulate.report import Fate
    from seatrial.simulate.traffic import Candidate, Traffic

EXAMPLE = """\
Two questions decide about steps: how long does a good model wait, and how many users meet a bad one? This command
sends thousands of candidates through the plan in FILE, with the judge that the operator has, and one through the
operator's planner itself: one as good as stable, one worse by just the margin of the first check, a bad one, and with --drift one
whose predictions have moved.

  seatrial simulate fraud.yaml --rate 20 --errors 1% --bad 5%
  seatrial simulate fraud.yaml --rate 20 --errors 1% --bad 5% --late 30m     the fault begins after half an hour
  seatrial simulate fraud.yaml --rate 120/m --daily 6 --clumps 3             nights are quiet, errors come in threes
  seatrial simulate fraud.yaml --rate 20 --share orders=12% --bad orders=9%  a check of your own
  seatrial simulate fraud.yaml --rate 20 --drift 1                           predictions move by a standard deviation
  seatrial simulate fraud.yaml --rate 20 --predicted classes=block:3%,allow:97% --drift classes=block:6%,allow:94%
  seatrial simulate fraud.yaml --rate 20 --share orders=12% --label-delay orders=30m --per-late    orders come late
  seatrial simulate fraud.yaml --from-prometheus http://localhost:9090 --window 6h

Change a step, a margin or minSamples in FILE, and run it again. The same --seed gives the same output. No cluster is
asked. It needs numpy: pip install 'seatrial[simulate]'."""


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """All options."""
    sub.add_argument("file", metavar="FILE", help="a YAML file with one ModelDeployment; - is standard input")
    numbers.add_arguments(sub, rate_needed=False)
    more = sub.add_argument_group("more of the traffic")
    more.add_argument(
        "--daily", type=numbers.at_least_one, default=1.0, metavar="N",
        help="the busiest hour has N times the requests of the quietest; trials begin at any hour (1)",
    )  # fmt: skip
    more.add_argument(
        "--from-prometheus",
        default="",
        metavar="URL",
        help="let the past of the model in FILE come again, as Prometheus there has it, instead of --rate and shares",
    )
    more.add_argument("--window", type=_time, default="6h", metavar="TIME", help="how much of it, up to now (6h)")
    more.add_argument(
        "--revision",
        default="",
        metavar="NAME",
        help="whose past, where model servers count and not the gateway; FILE's own where left out",
    )
    bad = sub.add_argument_group("the bad candidate")
    bad.add_argument(
        "--bad", type=numbers.named, action="append", default=[], metavar="[CHECK=]SHARE",
        help="its share of errors, or of another check; 4 points more than stable's of the first check where left out",
    )  # fmt: skip
    bad.add_argument("--late", type=_time, default="0s", metavar="TIME", help="how long it is as good as stable (0s)")
    moving.add_arguments(sub)
    how = sub.add_argument_group("how")
    how.add_argument("--runs", type=numbers.whole, default=1000, metavar="N", help="trials of each candidate (1000)")
    how.add_argument("--seed", type=int, default=1, metavar="N", help="of chance (1)")
    how.add_argument(
        "--longest", type=_time, default="3h", metavar="TIME", help="when a trial is given up as undecided (3h)"
    )
    how.add_argument("-o", "--output", choices=("json",), help="print everything as JSON")
    how.add_argument("--plot", default="", metavar="FILE.svg", help="draw it")


def _time(text: str) -> timedelta:
    from seatrial.cli.raw import parse_duration  # noqa: PLC0415

    value = parse_duration(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 10m or 1h30m")
    return value


def simulate(args: argparse.Namespace, out: TextIO) -> int:
    """Run it and print."""
    plot = args.plot
    if plot and not plot.endswith(".svg"):
        raise CliError(
            f"--plot {plot}: a picture is written as .svg; make a PNG of it with rsvg-convert or a browser", USAGE
        )
    if args.seed < 0:
        raise CliError(f"--seed {args.seed}: it is 0 or more", USAGE)
    if not timedelta(minutes=10) <= args.window <= timedelta(days=7):
        raise CliError("--window: it is 10m to 168h", USAGE)
    if args.longest <= timedelta(0):
        raise CliError("--longest 0s: it is more than 0s", USAGE)
    found, raw, namespace = _course(args.file)
    try:
        from seatrial.simulate import picture, report  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise CliError(
            "simulate needs numpy, which is not installed: pip install 'seatrial[simulate]'", USAGE
        ) from None
    traffic = _traffic(args, found, raw, namespace)
    candidates = _candidates(args, found, traffic)
    horizon = args.longest.total_seconds()
    fates = [
        _fate(found, traffic, one, said, args.runs, args.seed + index, horizon)
        for index, (one, said) in enumerate(candidates)
    ]
    if args.output == "json":
        json.dump(report.document(found, traffic, fates, args.seed, horizon), out, indent=2, ensure_ascii=False)
        out.write("\n")
    else:
        width = max(60, min(get_terminal_size().columns, 160)) if out.isatty() else report.WIDTH
        for line in report.text(found, traffic, fates, args.seed, horizon, width):
            out.write(f"{line}\n")
    if plot:
        try:
            Path(plot).write_text(picture.draw(found, fates), encoding="utf-8")
        except OSError as error:
            raise CliError(f"--plot {plot}: {error.strerror or error}", USAGE) from None
    return OK


def _course(path: str) -> tuple[Course, dict[str, Any], str]:
    """The plan in a file, without anything that needs numpy."""
    from seatrial.api import crd  # noqa: PLC0415
    from seatrial.api.lint import Severity, is_ours, lint  # noqa: PLC0415
    from seatrial.api.spec import ModelDeploymentSpec  # noqa: PLC0415
    from seatrial.simulate.course import course  # noqa: PLC0415

    ours = [document for document in documents(path) if is_ours(document)]
    if len(ours) != 1:
        raise CliError(f"{path} holds {len(ours) or 'no'} ModelDeployments: one plan is simulated at a time", USAGE)
    (document,) = ours
    wrong = [finding for finding in lint(document) if finding.severity is Severity.ERROR]
    if wrong:
        raise CliError(f"{path}: {wrong[0].path}: {wrong[0].message}; seatrial lint says it all", USAGE)
    raw = crd.with_defaults(document)["spec"]
    found = course(document["metadata"]["name"], ModelDeploymentSpec.model_validate(raw))
    if not found.judged:
        raise CliError(
            f"{path}: there is no check that counts a share (Errors, Latency, share) or compares predictions (drift), so there is "
            "nothing to simulate: "
            "such a plan goes by time and the health of pods",
            USAGE,
        )
    return found, raw, document["metadata"].get("namespace", "default")


def _traffic(args: argparse.Namespace, found: Course, raw: dict[str, Any], namespace: str) -> Traffic:
    from seatrial.simulate.traffic import Traffic  # noqa: PLC0415

    if args.from_prometheus:
        if args.rate is not None or args.errors is not None or args.slow is not None or args.share or args.daily != 1.0:
            raise CliError(
                "--from-prometheus brings rates and shares: leave --rate, --errors, --slow, --share and --daily out",
                USAGE,
            )
        from seatrial.simulate.replay import ReplayError, replay  # noqa: PLC0415

        try:
            past = replay(args.from_prometheus, args.window, found, raw, namespace, args.revision, args.clumps)
        except ReplayError as error:
            raise CliError(f"--from-prometheus: {error}", USAGE) from None
        return replace(past, **_also(args, found, past.predictions))
    if args.rate is None:
        raise CliError("how many requests come? give --rate, such as --rate 20, or --from-prometheus URL", USAGE)
    shares = numbers.shares_of(args.share, found.checks, "--share")
    errors = 0.01 if args.errors is None else args.errors
    known = numbers.Numbers(args.rate, errors, args.slow, shares)
    out: dict[str, float] = {}
    for check in found.checks:
        share = known.of(check)
        if share is None:
            raise CliError(f"check {check.name}: what is stable's share? give --share {check.name}=12%", USAGE)
        out[check.name] = share
    return Traffic(args.rate, out, args.clumps, args.daily, **_also(args, found, {}))


def _also(args: argparse.Namespace, found: Course, known: Mapping[str, Shares]) -> dict[str, Any]:
    """What traffic is made of beside rates and shares: how predictions are divided, and how late labels come."""
    from seatrial.core.checks import counts_elsewhere  # noqa: PLC0415

    elsewhere = [check for check in (*found.checks, *found.means) if counts_elsewhere(check)]
    delays = moving.of_checks(args.label_delay, elsewhere, "--label-delay", "those with a revisionLabel are")
    if args.per_late and not delays:
        raise CliError("--per-late: how late? give --label-delay too, such as --label-delay 30m", USAGE)
    predicted = moving.predicted(args, found, known)
    return {"predictions": predicted, "delays": delays, "all_late": args.per_late}


def _candidates(args: argparse.Namespace, found: Course, traffic: Traffic) -> list[tuple[Candidate, str]]:
    """All kinds, with a few words about each."""
    from seatrial.simulate import report  # noqa: PLC0415
    from seatrial.simulate.traffic import Candidate  # noqa: PLC0415

    def shares(candidate: Candidate) -> tuple[Candidate, str]:
        told = (
            f"{name} {report.percent(traffic.shares[name] + candidate.more.get(name, 0.0))}"
            for name in (candidate.more or traffic.shares)
        )
        return candidate, ", ".join(told)

    out = [shares(Candidate(report.GOOD))]
    late = args.late.total_seconds()
    if found.checks:
        out.append(shares(Candidate(report.MARGIN, _by_the_margin(found, traffic))))
        out.append(shares(Candidate(report.BAD, _bad(args, found, traffic), late=late)))
    else:
        check = found.drifts[0]
        just, told = moving.to_the_limit(check, traffic.predictions[check.name])
        out.append((Candidate(report.MARGIN, predictions={check.name: just}), told))
        numbers.shares_of(args.bad, (), "--bad")
    if moved := moving.moved(args, found, traffic.predictions):
        own = {name: one for name, (one, _) in moved.items()}
        out.append(
            (Candidate(report.DRIFTED, predictions=own, late=late), ", ".join(told for _, told in moved.values()))
        )
    return out


def _by_the_margin(found: Course, traffic: Traffic) -> dict[str, float]:
    first, terms = found.checks[0], found.terms[0]
    margin = terms.margin(traffic.shares[first.name])
    return {first.name: -margin if terms.sides == (True,) else margin}


def _bad(args: argparse.Namespace, found: Course, traffic: Traffic) -> dict[str, float]:
    shares = numbers.shares_of(args.bad, found.checks, "--bad")
    if not shares:
        first = found.checks[0].name
        fewer = found.terms[0].sides == (True,)
        return {first: -min(PLAINLY, traffic.shares[first]) if fewer else min(PLAINLY, 0.99 - traffic.shares[first])}
    more = {name: value - traffic.shares[name] for name, value in shares.items()}
    for check, terms in zip(found.checks, found.terms, strict=True):
        change = more.get(check.name)
        if change is not None and (
            change == 0 or ((change < 0) is not (True in terms.sides) and len(terms.sides) == 1)
        ):
            raise CliError(
                f"--bad {check.name}={shares[check.name]:.3g}: stable's share is {traffic.shares[check.name]:.3g}, so that is not worse",
                USAGE,
            )
    return more


def _fate(
    found: Course, traffic: Traffic, candidate: Candidate, said: str, runs: int, seed: int, horizon: float
) -> Fate:
    from seatrial.simulate import fleet, report, world  # noqa: PLC0415
    from seatrial.simulate.counts import Drawn  # noqa: PLC0415

    trials = fleet.sail(found, Drawn(traffic, candidate, found, runs, seed), runs, horizon)
    if candidate.kind == report.MARGIN:
        return report.Fate(candidate.kind, said, trials)
    return report.Fate(candidate.kind, said, trials, world.typical(found, traffic, candidate, trials, seed, horizon))
