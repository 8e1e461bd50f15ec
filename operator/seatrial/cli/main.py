"""The command line: `seatrial`, and `kubectl seatrial` where it is called as kubectl's plug-in.

Only what a command needs is imported, when it runs: `seatrial version` and completion are there at once,
and nothing but drawing imports rich.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial import __version__
from seatrial.cli.errors import EXIT_CODES, INTERRUPTED, NOT_YET, OK, SENT_BACK, USAGE, CliError

if TYPE_CHECKING:
    from seatrial.cli.access import Cluster

ACTIONS = {
    "promote": "skip the remaining steps: the last one at once, where acceptance is judged as always",
    "approve": "pass the gate that waits",
    "pause": "stop advancing; failures still send the candidate back",
    "resume": "end a pause",
    "abort": "send the candidate back; on probation, bring the revision before back",
    "retry": "try a revision again that was sent back",
    "drill": "practise going back: a copy of the stable revision is failed on purpose, and timed",
    "accept": "say that a difference which a check of drift or of a share found is intended, for this revision",
}
ALIASES = {
    "undo": ("abort", "bring the revision before back, without a trial, while it is kept"),
}
"""Other words for an action, for whoever does not look for it under its own."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `seatrial --help` explains the codes."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = program(sys.argv[0])
    try:
        args = parser(command, load=arguments).parse_args(arguments)
    except SystemExit as end:  # argparse has said why
        return end.code if isinstance(end.code, int) else USAGE
    args.command = command
    try:
        code: int = args.go(args)
        sys.stdout.flush()
        return code
    except CliError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us (`| head`) has gone; what is buffered must not be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def program(called: str) -> str:
    """What a person typed: kubectl finds its plug-in as `kubectl-seatrial`."""
    return "kubectl seatrial" if Path(called).name.startswith("kubectl-") else "seatrial"


def parser(prog: str, *, load: Sequence[str] = ("golden", "snapshot")) -> argparse.ArgumentParser:
    """All commands. Options that take long to import are only there for the commands named in `load`."""
    top = _Parser(
        prog=prog,
        description="Put models through a trial before they serve: look at trials, and steer them.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _where(top, hidden=True)
    top.set_defaults(namespace="", context="", kubeconfig="")
    common = argparse.ArgumentParser(add_help=False)
    _where(common.add_argument_group("which cluster"))
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)

    def add(name: str, go: Callable[[argparse.Namespace], int], text: str, **more: Any) -> argparse.ArgumentParser:
        more.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        sub: argparse.ArgumentParser = commands.add_parser(
            name, help=text, description=text[:1].upper() + text[1:] + ".", **more
        )
        sub.set_defaults(go=go)
        return sub

    get = add("get", _get, "show a model and its trial, or all of them", parents=[common])
    get.add_argument("name", nargs="?", metavar="NAME", help="the ModelDeployment; all of the namespace where left out")
    get.add_argument("-w", "--watch", action="store_true", help="stay and show what happens, until Ctrl-C")
    get.add_argument(
        "--effective",
        action="store_true",
        help="the spec it runs with, house rules in it, and where each value comes from",
    )
    _formats(get)
    listing = add("list", _get, "list all models", parents=[common])
    listing.add_argument("-w", "--watch", action="store_true", help="stay and show what happens, until Ctrl-C")
    listing.set_defaults(name=None, effective=False)
    _formats(listing)
    _named(add("why", _why, "say why a model is where it is, and what to do next", parents=[common]))
    _named(add("history", _history, "show the trials that ended", parents=[common]))
    words = {action: (action, text) for action, text in ACTIONS.items()} | ALIASES
    for word, (action, text) in words.items():
        sub = add(word, _act, text, parents=[common])
        _named(sub)
        sub.add_argument("--reason", default="", help="why; kept with the command on the object")
        sub.add_argument("--no-wait", action="store_true", help="do not wait for the operator to react")
        sub.set_defaults(action=action, word=word, skip_checks=False)
        if word == "drill":
            sub.add_argument("--wait", action="store_true", help="wait for the result, and say it as an exit code")
            sub.add_argument(
                "--timeout", type=_timeout, default="30m", metavar="TIME", help="such as 10m, 1h; 0 is for ever"
            )
            sub.set_defaults(go=_drill)
        if word == "accept":
            sub.add_argument("--check", required=True, metavar="CHECK", help="the check that is judged no more for it")
            sub.set_defaults(go=_accept)
        if word == "promote":
            sub.add_argument(
                "--skip-checks",
                action="store_true",
                help="accept it unjudged, all traffic at once: for a hotfix; a right of its own, and only with --reason",
            )
    status = add(
        "status",
        _status,
        "say how a trial ended, in words and as an exit code; with --wait once it has ended",
        parents=[common],
        epilog=EXIT_CODES,
    )
    _named(status)
    status.add_argument("--wait", action="store_true", help="wait until it is decided; progress goes to stderr")
    status.add_argument(
        "--for",
        dest="wanted",
        choices=("stable", "rolledback", "any"),
        default="any",
        help="what counts as success: accepted (stable, any), or sent back (rolledback)",
    )
    status.add_argument(
        "--timeout", type=_timeout, default="10m", metavar="TIME", help="such as 90s, 10m; 0 is for ever"
    )
    lint = add("lint", _lint, "check files before they reach a cluster")
    lint.add_argument("files", nargs="+", metavar="FILE", help="YAML files; - is standard input")
    lint.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="FILE",
        help="house rules (TrialPolicy, ClusterTrialPolicy) that are to hold for every model in the files; may be repeated",
    )
    lint.add_argument("-o", "--output", choices=("json",), help="print what was found as JSON")
    presets = add(
        "presets",
        _presets,
        "show what is known of model servers' and gateways' metrics, or try one on a Prometheus",
        epilog=_PRESETS,
    )
    _preset_options(presets)
    from seatrial.cli.numbers import add_arguments as add_numbers  # noqa: PLC0415

    add_numbers(lint, rate_needed=False)
    simulate = add(
        "simulate",
        _simulate,
        "send thousands of candidates through a plan, and say how they fare",
        add_help="simulate" in load,
    )
    if "simulate" in load:
        from seatrial.cli.simulating import EXAMPLE  # noqa: PLC0415
        from seatrial.cli.simulating import add_arguments as add_simulate_arguments  # noqa: PLC0415

        simulate.epilog = EXAMPLE
        add_simulate_arguments(simulate)
    snapshot = add(
        "snapshot",
        _snapshot,
        "write a ConfigMap of how a model's predictions were distributed in training",
        parents=[common],
        add_help="snapshot" in load,
    )
    snapshot.add_argument("name_of", metavar="NAME", help="the ModelDeployment")
    if "snapshot" in load:
        from seatrial.cli.snapshotting import EXAMPLE as SNAPSHOTS  # noqa: PLC0415
        from seatrial.cli.snapshotting import add_arguments as add_snapshot_arguments  # noqa: PLC0415

        snapshot.epilog = SNAPSHOTS
        add_snapshot_arguments(snapshot)
    golden = add("golden", _help_of("golden"), "record requests with the answers of the training pipeline")
    if "golden" in load:
        _golden(golden)
    run = add("run", _run, "run the operator", add_help="run" in load)
    if "run" in load:
        from seatrial.runtime.settings import add_arguments  # noqa: PLC0415

        add_arguments(run)
    compare = add(
        "compare", _compare, "compare two models' answers to copies of live requests", add_help="compare" in load
    )
    if "compare" in load:
        from seatrial.compare.settings import add_arguments as add_compare_arguments  # noqa: PLC0415

        add_compare_arguments(compare)
    add("version", _version, "print the version")
    completion = add("completion", _completion, "print a completion script")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    return top


class _Parser(argparse.ArgumentParser):
    """Complaints are one line, with where to look next."""

    def error(self, message: str) -> Any:
        self.exit(USAGE, f"{self.prog}: {message}. See {self.prog} --help\n")


def _where(where: argparse._ActionsContainer, *, hidden: bool = False) -> None:
    """The options that say which cluster. They are understood before a command too, as kubectl's are."""
    for flags, metavar, text in (
        (("-n", "--namespace"), "NAME", "the namespace; the context's own where left out"),
        (("--context",), "NAME", "the kubeconfig's context"),
        (("--kubeconfig",), "FILE", "the kubeconfig; KUBECONFIG or ~/.kube/config where left out"),
    ):
        where.add_argument(
            *flags, default=argparse.SUPPRESS, metavar=metavar, help=argparse.SUPPRESS if hidden else text
        )


def _named(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("name", metavar="NAME", help="the ModelDeployment")


def _formats(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("-A", "--all-namespaces", action="store_true", help="look in all namespaces")
    sub.add_argument(
        "-o", "--output", choices=("json", "yaml", "wide", "name"), default="", help="another form than the usual one"
    )


_PRESETS = """\
seatrial presets                 all of them
seatrial presets vllm            what it counts, what it cannot tell, and checks to copy
seatrial presets test vllm --prometheus http://localhost:9090 --namespace models --model chat
                                 which series exist, and what would have been counted; exit code 1 where
                                 something is missing, 5 where Prometheus cannot be asked"""


def _preset_options(presets: argparse.ArgumentParser) -> None:
    presets.add_argument("words", nargs="*", metavar="[test] NAME", help="a preset; all of them where left out")
    presets.add_argument("-o", "--output", choices=("json",), help="print it as JSON")
    trying = presets.add_argument_group("test")
    trying.add_argument("--prometheus", metavar="URL", help="where Prometheus answers, such as http://localhost:9090")
    trying.add_argument(
        "-n", "--namespace", default=argparse.SUPPRESS, metavar="NAME", help="the namespace of the ModelDeployment"
    )
    trying.add_argument("--model", metavar="NAME", help="the ModelDeployment")
    trying.add_argument("--revision", metavar="REVISION", help="one revision of it; all of them where left out")
    trying.add_argument("--served", metavar="NAME", help="spec.model.name, where it is another name")
    trying.add_argument("--route", metavar="NAME", help="the HTTPRoute, where it is another name")
    trying.add_argument(
        "--window", type=_window, default="5m", metavar="TIME", help="how far back to count, such as 5m; at most 1h"
    )


def _golden(golden: argparse.ArgumentParser) -> None:
    inner = golden.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    from seatrial.cli.recording import EXAMPLE, add_arguments  # noqa: PLC0415

    record = inner.add_parser(
        "record",
        help="write a ConfigMap of recorded requests",
        description="Write a ConfigMap of recorded requests from rows and the training pipeline's predictions.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(record)
    record.set_defaults(go=_record)


def _timeout(text: str) -> Any:
    from seatrial.cli.raw import parse_duration  # noqa: PLC0415

    if text in ("0", "0s"):
        return None
    value = parse_duration(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 10m or 1h30m")
    return value


def _window(text: str) -> Any:
    from datetime import timedelta  # noqa: PLC0415

    value = _timeout(text)
    if value is None or not timedelta(0) < value <= timedelta(hours=1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a time between 1s and 1h")
    return value


# --- commands ---------------------------------------------------------------------------------------------------------


def _cluster(args: argparse.Namespace) -> Cluster:
    from seatrial.cli.access import Cluster, Where  # noqa: PLC0415

    return Cluster(Where(args.namespace, args.context, args.kubeconfig))


def _get(args: argparse.Namespace) -> int:
    if args.name and args.all_namespaces:
        raise CliError("a NAME and -A exclude each other: a name is looked up in one namespace (-n)", USAGE)
    if args.watch and args.output in ("json", "yaml", "name"):
        raise CliError(
            f"-w and -o {args.output} exclude each other: kubectl get md -w -o {args.output} does that", USAGE
        )
    if args.effective and (args.watch or not args.name or args.output not in ("", "yaml", "json")):
        raise CliError("--effective shows the spec of one NAME, as YAML or with -o json", USAGE)
    cluster = _cluster(args)
    if args.effective:
        from seatrial.cli import effective  # noqa: PLC0415

        spec = effective.show(cluster.get(args.name))
        print(effective.as_json(spec) if args.output == "json" else effective.as_yaml(spec))
        return OK
    if args.watch:
        from seatrial.cli import watching  # noqa: PLC0415

        live = _is_terminal()
        if args.name:
            return watching.watch_one(cluster, args.name, out=sys.stdout, live=live, command=args.command)
        return watching.watch_all(
            cluster, everywhere=args.all_namespaces, wide=args.output == "wide", out=sys.stdout, live=live, width=_width
        )
    if args.name:
        obj = cluster.get(args.name)
        if args.output in ("", "wide"):
            from seatrial.cli import view  # noqa: PLC0415

            return _draw(view.live(obj, datetime.now(UTC), command=args.command))
        return _dump(args.output, obj)
    objects, version = cluster.all(everywhere=args.all_namespaces)
    if args.output in ("json", "yaml"):
        return _dump(
            args.output,
            {"apiVersion": "v1", "kind": "List", "items": objects, "metadata": {"resourceVersion": version}},
        )
    if args.output == "name":
        print("\n".join(obj["metadata"]["name"] for obj in objects))
        return OK
    if not objects:
        where = "any namespace" if args.all_namespaces else f"namespace {cluster.namespace}"
        print(f"There is no ModelDeployment in {where}.", file=sys.stderr)
        return OK
    from seatrial.cli import lines  # noqa: PLC0415

    terminal = _is_terminal()
    shown = lines.table(
        objects,
        datetime.now(UTC),
        namespaces=args.all_namespaces,
        wide=args.output == "wide",
        width=_width() if terminal and args.output != "wide" else None,
        colour=terminal and "NO_COLOR" not in os.environ,
    )
    print("\n".join(shown))
    return OK


def _why(args: argparse.Namespace) -> int:
    obj = _cluster(args).get(args.name)
    from seatrial.cli import view  # noqa: PLC0415

    return _draw(view.why(obj, datetime.now(UTC), command=args.command))


def _history(args: argparse.Namespace) -> int:
    obj = _cluster(args).get(args.name)
    from seatrial.cli import view  # noqa: PLC0415

    return _draw(view.history(obj, datetime.now(UTC)))


def _act(args: argparse.Namespace) -> int:
    from seatrial.cli import asking  # noqa: PLC0415
    from seatrial.core.commands import Action  # noqa: PLC0415

    if args.skip_checks and not args.reason.strip():
        raise CliError("--skip-checks needs --reason TEXT: it stays in the history", USAGE)
    return asking.ask(
        _cluster(args),
        args.name,
        Action.SKIP_CHECKS if args.skip_checks else Action(args.action),
        args.reason,
        word=args.word,
        wait=not args.no_wait,
        now=lambda: datetime.now(UTC),
        out=sys.stdout,
        err=sys.stderr,
    )


def _accept(args: argparse.Namespace) -> int:
    check, reason = args.check.strip(), args.reason.strip()
    if not reason or not check or " " in check:
        raise CliError("accept needs --check NAME and --reason TEXT: both stay in the history", USAGE)
    args.reason = f"{check} {reason}"
    return _act(args)


def _drill(args: argparse.Namespace) -> int:
    if not args.wait:
        return _act(args)
    from seatrial.cli import watching  # noqa: PLC0415
    from seatrial.cli.reading import Reading  # noqa: PLC0415

    if args.no_wait:
        raise CliError("--wait and --no-wait exclude each other", USAGE)
    cluster = _cluster(args)
    before = Reading(cluster.get(args.name)).drill
    asked = _act(args)
    if asked != OK:
        return asked
    return watching.wait_for_drill(
        cluster, args.name, before=before, timeout=args.timeout, out=sys.stdout, err=sys.stderr
    )


def _status(args: argparse.Namespace) -> int:
    from seatrial.cli import watching  # noqa: PLC0415
    from seatrial.cli.reading import Reading  # noqa: PLC0415
    from seatrial.cli.story import headline, place  # noqa: PLC0415

    cluster = _cluster(args)
    if args.wait:
        return watching.wait_for(
            cluster, args.name, wanted=args.wanted, timeout=args.timeout, out=sys.stdout, err=sys.stderr
        )
    reading = Reading(cluster.get(args.name))
    answer = watching.verdict(reading, args.wanted)
    if answer is None:
        print(f"{reading.name} is {place(reading)}: {headline(reading)}")
        return SENT_BACK if reading.stalled else NOT_YET
    print(answer[1])
    return answer[0]


def _lint(args: argparse.Namespace) -> int:
    from seatrial.cli.lint import lint  # noqa: PLC0415
    from seatrial.cli.numbers import Numbers  # noqa: PLC0415

    known = None
    if args.rate is not None:
        known = Numbers(args.rate, args.errors, args.slow, dict(args.share), args.clumps)
    elif args.errors is not None or args.slow is not None or args.share:
        raise CliError("shares alone tell no time: give --rate too, such as --rate 20", USAGE)
    return lint(args.files, args.policy, as_json=args.output == "json", out=sys.stdout, known=known)


def _simulate(args: argparse.Namespace) -> int:
    from seatrial.cli.simulating import simulate  # noqa: PLC0415

    return simulate(args, sys.stdout)


def _presets(args: argparse.Namespace) -> int:
    from seatrial.cli import presets  # noqa: PLC0415

    return presets.main(args, out=sys.stdout)


def _record(args: argparse.Namespace) -> int:
    from seatrial.cli import recording  # noqa: PLC0415

    return recording.main(args)


def _snapshot(args: argparse.Namespace) -> int:
    from seatrial.cli import snapshotting  # noqa: PLC0415

    return snapshotting.main(args, sys.stdout, sys.stderr)


def _run(args: argparse.Namespace) -> int:
    from seatrial.runtime.main import run  # noqa: PLC0415

    return run(args)


def _compare(args: argparse.Namespace) -> int:
    from seatrial.compare.main import run  # noqa: PLC0415

    return run(args)


def _version(_args: argparse.Namespace) -> int:
    print(f"seatrial {__version__}")
    return OK


def _completion(args: argparse.Namespace) -> int:
    from seatrial.cli.completion import script  # noqa: PLC0415

    print(script(args.shell, parser(args.command)), end="")
    return OK


def _help_of(name: str) -> Callable[[argparse.Namespace], int]:
    def go(args: argparse.Namespace) -> int:
        raise CliError(f"{name} needs a command. See {args.command} {name} --help", USAGE)

    return go


# --- writing ----------------------------------------------------------------------------------------------------------


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _width() -> int:
    return shutil.get_terminal_size((120, 24)).columns


def _draw(picture: Any) -> int:
    from rich.console import Console  # noqa: PLC0415

    Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _width()).print(picture)
    return OK


def _dump(form: str, obj: dict[str, Any]) -> int:
    for item in [obj, *obj.get("items", [])]:
        item.get("metadata", {}).pop("managedFields", None)
    if form == "name":
        print(obj["metadata"]["name"])
    elif form == "json":
        import json  # noqa: PLC0415

        print(json.dumps(obj, indent=2, ensure_ascii=False))
    else:
        import yaml  # noqa: PLC0415

        print(yaml.safe_dump(obj, sort_keys=False, allow_unicode=True), end="")
    return OK


if __name__ == "__main__":
    sys.exit(main())
