"""The command line: ``python3 -m dev --help`` teaches it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

from dev import tools
from dev.controlplane import control_plane
from dev.errors import DevError


def parser() -> argparse.ArgumentParser:
    """The whole grammar in one place."""
    top = argparse.ArgumentParser(prog="python3 -m dev", description="The local cluster of Seatrial.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    build = commands.add_parser("tools", help="build or install the binaries into the cache, and print where they are")
    build.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(tools.TOOLS)} (default: all but kind)")
    build.set_defaults(run=_tools)

    alone = commands.add_parser(
        "apiserver",
        help="run a command beside an API server without a node",
        description="Start etcd and kube-apiserver on loopback, run CMD with KUBECONFIG set, and remove both. "
        "Any user can do this. Example: python3 -m dev apiserver -- kubectl apply -f crds/",
    )
    alone.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command and its arguments")
    alone.set_defaults(run=_apiserver)
    return top


def _tools(args: argparse.Namespace) -> int:
    for binary in tools.build_all(args.names).values():
        print(binary)
    return 0


def _apiserver(args: argparse.Namespace) -> int:
    argv = _after_dashes(args.argv)
    with control_plane() as kubeconfig:
        env = {**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": tools_on_path("kubectl")}
        return _run(argv, env)


def tools_on_path(*names: str) -> str:
    """The PATH with our own builds of the named tools in front."""
    folders = [str(tools.path(name).parent) for name in names]
    return os.pathsep.join([*folders, os.environ.get("PATH", "")])


def _after_dashes(argv: Sequence[str]) -> list[str]:
    rest = list(argv[1:] if argv[:1] == ["--"] else argv)
    if not rest:
        raise DevError("Name the command to run after `--`.")
    return rest


def _run(argv: list[str], env: dict[str, str]) -> int:
    try:
        return subprocess.run(argv, env=env, check=False).returncode
    except FileNotFoundError:
        raise DevError(f"The command {argv[0]} is not on the PATH.") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 is success, 1 a failure with its reason, 2 a misuse."""
    args = parser().parse_args(argv)
    try:
        return int(args.run(args))
    except DevError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
