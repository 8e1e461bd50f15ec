"""The cgroup that holds a cluster's processes and pods, in version 1 or 2.

It lets the kubelet keep its pods under a name of ours, counts the memory of a
whole cluster, and finds what is left of one.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io", "hugetlb")


def hierarchies() -> list[Path]:
    """The mount points of all hierarchies that can hold processes."""
    mounts = []
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, where, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2") and where.startswith(str(ROOT)):
            mounts.append(Path(where))
    return mounts


def create(name: str) -> None:
    """Make the group in every hierarchy, with a group `system` for the node itself."""
    for mount in hierarchies():
        group = mount / name
        group.mkdir(exist_ok=True)
        if (mount / "cgroup.controllers").exists():
            _delegate(mount)
            _delegate(group)
        elif (group / "cpuset.cpus").exists():
            # In version 1 a new cpuset is empty, and an empty one takes no process.
            for file in ("cpuset.cpus", "cpuset.mems"):
                (group / file).write_text((mount / file).read_text())
        (group / "system").mkdir(exist_ok=True)


def _delegate(group: Path) -> None:
    """Version 2: have the children of a group counted and limited."""
    available = (group / "cgroup.controllers").read_text().split()
    for controller in _CONTROLLERS:
        if controller in available:
            try:
                (group / "cgroup.subtree_control").write_text(f"+{controller}")
            except OSError:
                continue


def enter(name: str) -> None:
    """Move the calling process into `<name>/system`, where the hierarchy allows it."""
    for mount in hierarchies():
        try:
            (mount / name / "system" / "cgroup.procs").write_text("0")
        except OSError:
            continue


def members(name: str) -> set[int]:
    """Every process in the group and below it."""
    found: set[int] = set()
    for mount in hierarchies():
        for file in (mount / name).rglob("cgroup.procs"):
            try:
                found.update(int(line) for line in file.read_text().split())
            except OSError:
                continue
    return found


def memory_bytes(name: str) -> int | None:
    """What the group uses without the page cache, or None if nobody counts it."""
    for mount in hierarchies():
        stat = mount / name / "memory.stat"
        if stat.exists():
            values = dict(line.split() for line in stat.read_text().splitlines())
            if "total_rss" in values:
                return int(values["total_rss"])
            if "anon" in values:
                return int(values["anon"])
    return None


def remove(name: str, seconds: float = 10) -> list[Path]:
    """Kill what is left in the group and remove it; gives what could not be removed."""
    limit = time.monotonic() + seconds
    while True:
        for pid in members(name):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        left = [group for mount in hierarchies() if not _remove_empty(group := mount / name)]
        if not left or time.monotonic() > limit:
            return left
        time.sleep(0.05)


def _remove_empty(group: Path) -> bool:
    if not group.exists():
        return True
    for path, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            continue
    return not group.exists()
