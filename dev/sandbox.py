"""A cluster in namespaces of this machine: no container engine, no virtual machine.

`up` makes a network namespace with a link to the host, starts `dev.node` in it
as the first process of further namespaces, loads images and installs the
addons. `down` kills that one process, with which everything in the cluster
ends, and removes the link, the cgroups and the state folder.

The host is left as it was: no firewall rule, kernel setting, mount or file of
its own is touched.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dev import addons, cgroups, images, net, progress, tools
from dev.cache import lock, remove_tree
from dev.errors import DevError
from dev.net import Slice
from dev.node import CONTAINERD_SOCKET, FAILED, NodeConfig, api_server, write_pki
from dev.pki import KeyPair
from dev.progress import tail

CLAIMS = Path("/run/seatrial")
"""One file for each index that is taken; it holds the state folder of its cluster."""
_COMMANDS = ("ip", "nsenter", "unshare", "openssl", "runc", "nft", "/usr/lib/cni/ptp")


def why_not() -> str | None:
    """Why this machine cannot run a sandbox, in one sentence, or None."""
    if sys.platform != "linux":
        return "The sandbox needs Linux; elsewhere, use kind with a container engine."
    if os.geteuid() != 0:
        return (
            "The sandbox makes namespaces and mounts, so it runs as root: "
            "use sudo --preserve-env=HOME,SEATRIAL_CACHE, or kind."
        )
    if not cgroups.hierarchies():
        return "The sandbox needs cgroups mounted at /sys/fs/cgroup."
    return None


def prepare() -> None:
    """Check what the machine must have, and make everything that a cluster is started from."""
    reason = why_not()
    if reason:
        raise DevError(reason)
    tools.require(*_COMMANDS)
    for name in tools.NODE:
        tools.path(name)
    for name in images.NODE_IMAGES:
        images.archive(name)
    addons.gateway_manifests()


def up(state: Path) -> Path:
    """Start a cluster whose state is in `state`; gives its kubeconfig.

    The caller holds the cluster's lock, has called `prepare`, and has removed
    what an earlier one left.
    """
    binaries = {name: str(tools.path(name)) for name in tools.NODE}
    archives = [images.archive(name) for name in images.NODE_IMAGES]
    part = _claim(state)
    net.create(part)
    cgroups.create(part.name)
    authority, admin = write_pki(state, part)
    kubeconfig = authority.kubeconfig(state / "kubeconfig", api_server(state, part).url, admin)
    NodeConfig(part.index, str(state), binaries).write()
    _launch(state, part)
    _wait_for(lambda: _containerd(part) is not None, state, "containerd", 30)
    importing = _Background(lambda: load(part, *archives))
    _wait_for(lambda: api_server(state, part).ready(admin), state, "kube-apiserver", 60)
    progress.say("the API server answers")
    kubectl = addons.Kubectl(kubeconfig)
    addons.install_definitions(kubectl)
    importing.join()
    progress.say("the images are loaded")
    addons.install(kubectl, addons.Exposure(dns_service=part.dns_service))
    addons.wait(kubectl)
    return kubeconfig


def down(state: Path) -> None:
    """Remove a cluster, also one that never came up; nothing of it is left."""
    part = claimed(state)
    if part is not None:
        for pid in net.processes(part):
            _kill(pid)
        left = cgroups.remove(part.name)
        if left:
            raise DevError(
                f"Processes of the cluster do not end: the cgroup {left[0]} is still in use. Run the command again."
            )
        net.remove(part)
    if state.exists():
        remove_tree(state)
    if part is not None:
        (CLAIMS / part.name).unlink(missing_ok=True)
        try:
            CLAIMS.rmdir()
        except OSError:
            pass


def load(part: Slice, *archives: Path) -> None:
    """Import OCI archives into the node."""
    socket = _containerd(part)
    if socket is None:
        raise DevError("The cluster's containerd is not running.")
    argv = [str(tools.path("ctr")), "--address", str(socket), "--namespace", "k8s.io", "images", "import"]
    for archive in archives:
        answer = subprocess.run([*argv, str(archive)], capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise DevError(f"Loading {archive} failed: {answer.stderr.strip()}")


def memory_bytes(state: Path) -> int | None:
    """What the cluster's processes use without the page cache."""
    part = claimed(state)
    return None if part is None else cgroups.memory_bytes(part.name)


def alive(state: Path) -> bool:
    """Whether the cluster's API server answers."""
    part = claimed(state)
    pki = state / "pki"
    return part is not None and api_server(state, part).ready(KeyPair(pki / "admin.key", pki / "admin.crt"))


def claimed(state: Path) -> Slice | None:
    """The index that the cluster with this state folder has taken."""
    for claim in CLAIMS.glob("seatrial*"):
        try:
            if claim.read_text(encoding="utf-8") == str(state):
                return Slice(int(claim.name.removeprefix("seatrial")))
        except (OSError, ValueError):
            continue
    return None


def _claim(state: Path) -> Slice:
    """Take a free index. The claim is on disk before anything else of it exists."""
    with lock("seatrial-sandbox", directory=Path("/run/lock")):
        CLAIMS.mkdir(exist_ok=True)
        part = net.free_slice(lambda candidate: (CLAIMS / candidate.name).exists())
        (CLAIMS / part.name).write_text(str(state), encoding="utf-8")
        return part


def _launch(state: Path, part: Slice) -> None:
    (state / "logs").mkdir(exist_ok=True)
    # nsenter, because `ip netns exec` mounts /sys anew and so hides the cgroups.
    inside = ["nsenter", f"--net={net.NAMESPACES / part.name}"]
    fresh = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
    with open(state / "logs" / "node.log", "ab") as log:
        # The node outlives us, so it is nobody's child to wait for.
        subprocess.run(
            ["setsid", "--fork", *inside, *fresh, sys.executable, "-m", "dev.node", str(state)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parent.parent,
            check=True,
        )


def _containerd(part: Slice) -> Path | None:
    """containerd's socket, seen from outside through the process that listens there."""
    for pid in net.processes(part):
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        except OSError:
            continue
        if "\nNSpid:" in status and status.split("\nNSpid:")[1].splitlines()[0].split()[-1] == "1":
            socket = Path(f"/proc/{pid}/root{CONTAINERD_SOCKET}")
            return socket if socket.exists() else None
    return None


def _wait_for(ready: Callable[[], bool], state: Path, what: str, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while not ready():
        failed = state / FAILED
        if failed.exists():
            raise DevError(f"The node did not start: {failed.read_text(encoding='utf-8')}\nThe logs: {state / 'logs'}")
        if time.monotonic() > limit:
            raise DevError(f"{what} did not answer in {seconds:.0f} s. {tail(state / 'logs' / f'{what}.log')}")
        time.sleep(0.1)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass


class _Background:
    """Work in a thread whose failure is raised where it is joined."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._error: BaseException | None = None

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the work, and raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
