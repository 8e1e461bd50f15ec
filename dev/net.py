"""Which addresses and names one sandbox cluster has, and its network namespace.

Everything is in 198.18.0.0/15, the range set aside for benchmarks, so that it
meets no real network. A cluster's index picks its slice.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dev import tools
from dev.errors import DevError

NAMESPACES = Path("/run/netns")
CLUSTERS = 16
"""How many slices there are, and so how many clusters at once."""


@dataclass(frozen=True)
class Slice:
    """What belongs to the cluster with this index."""

    index: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < CLUSTERS:
            raise ValueError(f"index {self.index} is not in 0–{CLUSTERS - 1}")

    @property
    def name(self) -> str:
        """Its network namespace, its link on the host, and its cgroup."""
        return f"seatrial{self.index}"

    @property
    def pods(self) -> str:
        """The addresses of pods."""
        return f"198.18.{16 * self.index}.0/21"

    @property
    def services(self) -> str:
        """The addresses of Services."""
        return f"198.19.{16 * self.index}.0/20"

    @property
    def api_service(self) -> str:
        """The address of the Service `kubernetes`: the first one."""
        return f"198.19.{16 * self.index}.1"

    @property
    def dns_service(self) -> str:
        """The address of the cluster's DNS."""
        return f"198.19.{16 * self.index}.10"

    @property
    def host(self) -> str:
        """The host's end of the link."""
        return f"198.18.{16 * self.index + 15}.1"

    @property
    def node(self) -> str:
        """The node's end of the link, and the node's address."""
        return f"198.18.{16 * self.index + 15}.2"

    @property
    def taken(self) -> bool:
        """Whether some cluster, or what is left of one, has this index."""
        return (NAMESPACES / self.name).exists() or Path(f"/sys/class/net/{self.name}").exists()


def free_slice(claimed: Callable[[Slice], bool]) -> Slice:
    """The lowest index that is neither claimed nor in use; the caller holds the lock of allocations."""
    for index in range(CLUSTERS):
        part = Slice(index)
        if not claimed(part) and not part.taken:
            return part
    raise DevError(f"All {CLUSTERS} places for sandbox clusters are taken. See `python3 -m dev cluster list`.")


def create(part: Slice) -> None:
    """Make the network namespace and the link, and route the slice to the node.

    The host reaches pods, Services and the API server through the link. The
    node has no default route: nothing leaves the machine. It has a route for
    Services because the kernel looks for one before kube-proxy's rules rewrite
    the packet.
    """
    name = part.name
    inside = ("ip", "-n", name)
    for command in (
        ("ip", "netns", "add", name),
        ("ip", "link", "add", name, "type", "veth", "peer", "name", "uplink", "netns", name),
        ("ip", "addr", "add", f"{part.host}/30", "dev", name),
        ("ip", "link", "set", name, "up"),
        (*inside, "link", "set", "lo", "up"),
        (*inside, "addr", "add", f"{part.node}/30", "dev", "uplink"),
        (*inside, "link", "set", "uplink", "up"),
        (*inside, "route", "add", part.services, "via", part.host),
        ("ip", "route", "add", part.pods, "via", part.node),
        ("ip", "route", "add", part.services, "via", part.node),
    ):
        _run(command)


def remove(part: Slice) -> None:
    """Remove the link, its routes and the namespace, as far as they are there."""
    if Path(f"/sys/class/net/{part.name}").exists():
        _run(("ip", "link", "del", part.name))
    if (NAMESPACES / part.name).exists():
        _run(("ip", "netns", "del", part.name))


def processes(part: Slice) -> list[int]:
    """The processes in the namespace itself (not those in pods)."""
    if not (NAMESPACES / part.name).exists():
        return []
    answer = subprocess.run([_ip(), "netns", "pids", part.name], capture_output=True, text=True, check=False)
    return [int(line) for line in answer.stdout.split()]


def _ip() -> str:
    return tools.find_command("ip") or "ip"


def _run(command: tuple[str, ...]) -> None:
    answer = subprocess.run([_ip(), *command[1:]], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise DevError(f"`{' '.join(command)}` failed: {answer.stderr.strip()}")
