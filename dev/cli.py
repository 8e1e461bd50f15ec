"""The command line: ``python3 -m dev --help`` teaches it."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dev import cache, cluster, extras, images, tools
from dev.controlplane import control_plane
from dev.errors import DevError
from dev.wheels import write_lock

_CLUSTER = """\
A cluster is a real Kubernetes node with DNS, a gateway (Envoy Gateway) and
Prometheus. It stays until `down`; several can be up at once.

  python3 -m dev cluster up demo              start it, or report it if it is up
  eval "$(python3 -m dev cluster env demo)"   have kubectl and others talk to it
  python3 -m dev kubectl demo -- get pods -A  or without that
  python3 -m dev cluster down demo            remove it; nothing is left

The provider is chosen by the machine: a cluster of yours, if you name one
(SEATRIAL_CLUSTER_KUBECONFIG and SEATRIAL_CLUSTER_CONSENT=yes), else kind where
docker or podman answers, else the sandbox (Linux, root). SEATRIAL_PROVIDER=
named|kind|sandbox overrides it.
"""


def parser() -> argparse.ArgumentParser:
    """The whole grammar in one place."""
    top = argparse.ArgumentParser(prog="python3 -m dev", description="The local cluster of Seatrial.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    clusters = commands.add_parser(
        "cluster",
        help="start, list and remove clusters",
        description=_CLUSTER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _cluster_commands(clusters.add_subparsers(dest="action", required=True, metavar="ACTION"))

    kubectl = commands.add_parser(
        "kubectl", help="run kubectl against a cluster", description="Run kubectl against a cluster."
    )
    kubectl.add_argument("name", metavar="NAME")
    kubectl.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- ARGS", help="such as: -- get pods -A")
    kubectl.set_defaults(run=_kubectl)

    alone = commands.add_parser(
        "apiserver",
        help="run a command beside an API server without a node",
        description="Start etcd and kube-apiserver on loopback, run CMD with KUBECONFIG set, and remove both. "
        "Any user can do this. Example: python3 -m dev apiserver -- kubectl apply -f crds/",
    )
    alone.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command and its arguments")
    alone.set_defaults(run=_apiserver)

    build = commands.add_parser("tools", help="build or install the binaries into the cache, and print where they are")
    build.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of: {', '.join(tools.TOOLS)} (default: what every cluster needs)"
    )
    build.set_defaults(run=_tools)

    image = commands.add_parser("images", help="build container images into the cache, and print their archives")
    image.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of: {', '.join(images.IMAGES)} (default: what tests need)"
    )
    image.set_defaults(run=_images)

    lock = commands.add_parser("lock", help="pin the packages of an image: dev/images/NAME.in to NAME.lock")
    lock.add_argument("name", metavar="NAME")
    lock.set_defaults(run=_lock)

    prune = commands.add_parser("cache", help="say where the cache is and what it holds, or tidy it")
    prune.add_argument("--prune", action="store_true", help="remove entries that nothing here uses any more")
    prune.set_defaults(run=_cache)
    return top


def _cluster_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = actions.add_parser("up", help="start a cluster, or report the one that is up")
    up.add_argument("name", metavar="NAME")
    up.add_argument("--provider", choices=cluster.PROVIDERS, help="default: chosen by the machine")
    up.set_defaults(run=_up)
    down = actions.add_parser("down", help="remove clusters, also half-started ones")
    down.add_argument("names", nargs="*", metavar="NAME")
    down.add_argument("--all", action="store_true", help="every cluster of this cache")
    down.set_defaults(run=_down)
    listing = actions.add_parser("list", help="all clusters and their state")
    listing.set_defaults(run=_list)
    status = actions.add_parser("status", help="one cluster's state and addresses; exits with 3 unless it is up")
    status.add_argument("name", metavar="NAME")
    status.set_defaults(run=_status)
    env = actions.add_parser("env", help="print `export` lines for a shell")
    env.add_argument("name", metavar="NAME")
    env.set_defaults(run=_env)
    load = actions.add_parser("load", help="load images into a cluster")
    load.add_argument("name", metavar="NAME")
    load.add_argument(
        "images", nargs="+", metavar="IMAGE", help="an OCI archive, or one of: " + ", ".join(images.IMAGES)
    )
    load.set_defaults(run=_load)
    addon = actions.add_parser("addon", help="build and install what only some clusters have")
    addon.add_argument("name", metavar="NAME")
    addon.add_argument("addons", nargs="+", metavar="ADDON", help=f"any of: {', '.join(extras.EXTRAS)}")
    addon.set_defaults(run=_addon)


def _up(args: argparse.Namespace) -> int:
    _print_cluster(cluster.up(args.name, args.provider))
    return 0


def _down(args: argparse.Namespace) -> int:
    names = cluster.names() if args.all else args.names
    if not names and not args.all:
        raise DevError("Name a cluster, or use --all.")
    for name in names:
        print(f"{name}: {'removed' if cluster.down(name) else 'there was none'}")
    return 0


def _list(_args: argparse.Namespace) -> int:
    for name in cluster.names():
        found = cluster.find(name)
        print(f"{name:30}  {found.provider if found else '-':8}  {cluster.status(name)}")
    return 0


def _status(args: argparse.Namespace) -> int:
    state = cluster.status(args.name)
    print(f"{args.name}: {state}")
    found = cluster.find(args.name)
    if state != "up" or found is None:
        return 3
    _print_cluster(found)
    return 0


def _print_cluster(found: cluster.Cluster) -> None:
    print(f"provider    {found.provider}")
    print(f"kubeconfig  {found.kubeconfig}")
    print(f"gateway     {found.gateway_address}")
    print(f"prometheus  {found.prometheus_url}")
    if found.audit_log is not None:
        print(f"audit log   {found.audit_log}")
    memory = found.memory_bytes()
    if memory is not None:
        print(f"memory      {memory / 2**20:.0f} MiB")


def _env(args: argparse.Namespace) -> int:
    for key, value in cluster.get(args.name).environment().items():
        print(f"export {key}={shlex.quote(value)}")
    return 0


def _load(args: argparse.Namespace) -> int:
    for image in args.images:
        if image in images.IMAGES:
            print(cluster.load_image(args.name, image))
        elif Path(image).is_file():
            cluster.load(args.name, Path(image))
            print(images.tag_of(Path(image)))
        else:
            raise DevError(f"{image!r} is neither a file nor one of: {', '.join(images.IMAGES)}.")
    return 0


def _addon(args: argparse.Namespace) -> int:
    for addon in args.addons:
        extras.ensure(args.name, addon)
        print(addon)
    return 0


def _kubectl(args: argparse.Namespace) -> int:
    env = {**os.environ, "KUBECONFIG": str(cluster.get(args.name).kubeconfig)}
    return _run([str(tools.path("kubectl")), *_after_dashes(args.argv)], env)


def _images(args: argparse.Namespace) -> int:
    for name in args.names or [name for name in images.IMAGES if name not in images.ON_REQUEST]:
        print(f"{images.archive(name)}  {images.IMAGES[name].tag}")
    return 0


def _lock(args: argparse.Namespace) -> int:
    requirements = images.FOLDER / f"{args.name}.in"
    if not requirements.exists():
        raise DevError(f"There is no {requirements}.")
    print(f"{write_lock(requirements, requirements.with_suffix('.lock'))} packages pinned")
    return 0


def _cache(args: argparse.Namespace) -> int:
    used = {tool.recipe for tool in tools.TOOLS.values()} | {image.recipe for image in images.IMAGES.values()}
    print(f"{cache.cache_dir()}")
    for entry in cache.entries({recipe.name: recipe.key for recipe in used}):
        print(
            f"{entry.bytes / 2**20:8.0f} MiB  {entry.path.name}{'  (replaced by a newer one)' if entry.stale else ''}"
        )
        if entry.stale and args.prune:
            cache.remove_tree(entry.path)
    return 0


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
