"""An API server without a node: for tests of the CRD and of API clients.

    with control_plane() as kubeconfig:
        ...

etcd and kube-apiserver run as plain processes on free ports of loopback, as
any user, and are ready in a few seconds. There is no scheduler and no
controller, so objects are stored, validated and watched, and nothing else
happens to them.

A minder process owns them: it ends them and removes their folder when its
standard input closes, which the kernel does even for a killed parent.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev import tools
from dev.errors import DevError
from dev.kube import ApiServer
from dev.supervise import Supervisor

ATTEMPTS = 3
"""A free port can be taken by somebody else before we listen on it."""


@contextmanager
def control_plane() -> Iterator[Path]:
    """Run an API server for the length of the block; gives its admin kubeconfig."""
    for name in tools.CONTROL_PLANE:
        tools.path(name)
    minder = subprocess.Popen(
        [sys.executable, "-m", "dev.controlplane"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        text=True,
        # Control-C reaches the whole terminal group; the minder has to outlive
        # it to clean up after us.
        start_new_session=True,
    )
    assert minder.stdin is not None and minder.stdout is not None
    try:
        answer = minder.stdout.readline().strip()
        if not answer.startswith("/"):
            raise DevError("The API server did not start; the reason is above.")
        yield Path(answer)
    finally:
        minder.stdin.close()
        minder.stdout.close()
        minder.wait()


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(folder: Path) -> tuple[Supervisor, Path]:
    server = ApiServer(folder, "127.0.0.1", free_port(), free_port(), "10.96.0.0/16")
    authority = server.create_pki(())
    admin = authority.issue("admin", "/O=system:masters/CN=admin")
    kubeconfig = authority.kubeconfig(folder / "kubeconfig", server.url, admin)
    supervisor = Supervisor(folder / "logs")
    supervisor.start("etcd", server.etcd_command(tools.path("etcd")))
    # Loopback cannot be an endpoint of the Service `kubernetes`, and nobody
    # makes the default service accounts that the plugin would ask for.
    alone = ["--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount"]
    supervisor.start("kube-apiserver", [*server.command(tools.path("kube-apiserver")), *alone])
    try:
        supervisor.wait_until("kube-apiserver", lambda: server.ready(admin), 60)
    except DevError:
        supervisor.stop()
        raise
    return supervisor, kubeconfig


def _start_patiently(folder: Path) -> tuple[Supervisor, Path]:
    for attempt in range(1, ATTEMPTS):
        try:
            return _start(folder / str(attempt))
        except DevError:
            continue
    return _start(folder / str(ATTEMPTS))


def _mind() -> int:
    """Own the processes until standard input closes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.close(0))
    folder = Path(tempfile.mkdtemp(prefix="seatrial-apiserver-"))
    supervisor: Supervisor | None = None
    try:
        supervisor, kubeconfig = _start_patiently(folder)
        print(kubeconfig, flush=True)
        try:
            sys.stdin.buffer.read()
        except OSError:
            pass
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if supervisor is not None:
            supervisor.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(_mind())
