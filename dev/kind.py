"""A cluster by kind, where a container engine answers.

Written against kind 0.33 and not yet run by us: the machines that test
Seatrial have no container engine. It uses the same manifests and images as the
sandbox, and `kind-config.yaml`, which is also for use by hand.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

from dev import addons, images, tools
from dev.cache import log_path
from dev.errors import DevError
from dev.progress import run_logged

CONFIG = Path(__file__).parent.parent / "kind-config.yaml"
GATEWAY_PORT, PROMETHEUS_PORT = 30080, 30090
"""Ports of the node, as `kind-config.yaml` maps them."""
MARKER = "kind"
"""A file in the state folder, written before kind makes anything."""
_LOADED = tuple(name for name in images.NODE_IMAGES if name not in ("pause", "coredns"))
"""What kind's own node image does not bring."""


@cache
def engine() -> str | None:
    """``docker`` or ``podman``, whichever answers within 5 s."""
    for name in ("docker", "podman"):
        try:
            answer = subprocess.run([name, "info"], capture_output=True, timeout=5, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if answer.returncode == 0:
            return name
    return None


def prepare() -> None:
    """Make everything that a cluster is started from."""
    _engine()
    for name in ("kind", "kubectl"):
        tools.path(name)
    for image in _LOADED:
        images.archive(image)
    addons.gateway_manifests()


def up(name: str, state: Path) -> tuple[Path, str, str]:
    """Create the cluster; gives its kubeconfig, the gateway's address and Prometheus' URL."""
    command = _engine()
    (state / MARKER).touch()
    kubeconfig = state / "kubeconfig"
    log = log_path(f"kind-{name}")
    argv: list[str | Path] = [tools.path("kind"), "create", "cluster", "--name", _kind_name(name)]
    argv += ["--config", CONFIG, "--kubeconfig", kubeconfig, "--wait", "180s"]
    run_logged(argv, log, env=_environment())
    for image in _LOADED:
        load(name, images.archive(image))
    kubectl = addons.Kubectl(kubeconfig)
    addons.install_definitions(kubectl)
    addons.install(kubectl, addons.Exposure(GATEWAY_PORT, PROMETHEUS_PORT))
    addons.wait(kubectl)
    gateway, prometheus = (_host_port(command, name, port) for port in (GATEWAY_PORT, PROMETHEUS_PORT))
    return kubeconfig, gateway, f"http://{prometheus}"


def down(name: str) -> None:
    """Delete the cluster, if there is one."""
    _engine()
    argv: list[str | Path] = [tools.path("kind"), "delete", "cluster", "--name", _kind_name(name)]
    run_logged(argv, log_path(f"kind-{name}"), env=_environment())


def load(name: str, archive: Path) -> None:
    """Load an OCI archive into the node."""
    argv: list[str | Path] = [tools.path("kind"), "load", "image-archive", archive, "--name", _kind_name(name)]
    run_logged(argv, log_path(f"kind-{name}"), env=_environment())


def _engine() -> str:
    command = engine()
    if command is None:
        raise DevError(
            "kind needs a container engine, and neither `docker info` nor `podman info` answers. "
            "Start one, or use the sandbox."
        )
    return command


def _environment() -> dict[str, str]:
    inherited = os.environ.get("KIND_EXPERIMENTAL_PROVIDER")
    return {"KIND_EXPERIMENTAL_PROVIDER": inherited or _engine()}


def _kind_name(name: str) -> str:
    return f"seatrial-{name}"


def _host_port(command: str, name: str, port: int) -> str:
    """Where the machine reaches a port of the node, such as ``127.0.0.1:49153``."""
    argv = [command, "port", f"{_kind_name(name)}-control-plane", f"{port}/tcp"]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    if answer.returncode != 0 or not answer.stdout.strip():
        raise DevError(f"`{' '.join(argv)}` tells no port: {answer.stderr.strip()}")
    return answer.stdout.split()[0]
