"""A cluster with the operator in it, for the benchmarks that need one, and tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import dev.cluster
from dev.models import images
from tests.cluster.api import Api
from tests.cluster.installed import Operator, build
from tests.cluster.together import Stage


@contextmanager
def stage(name: str) -> Iterator[Stage]:
    """The operator, built from this checkout, in a cluster that goes away again unless it was up before."""
    before = dev.cluster.status(name) == "up"
    with ThreadPoolExecutor() as pool:
        archives = [pool.submit(images.light_archive), pool.submit(build)]
        cluster = dev.cluster.up(name)
        for archive in archives:
            dev.cluster.load(name, archive.result())
    api = Api(cluster.kubeconfig)
    try:
        operator = Operator(cluster, api, build())
        operator.install()
        yield Stage(cluster, operator, [], {})
    finally:
        api.close()
        if not before:
            dev.cluster.down(name)


def setting(name: str) -> str:
    """Where the numbers come from, in a line."""
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) / 2**20
    load = os.getloadavg()[0]
    return f"cluster {name} on {os.cpu_count()} cores and {memory:.0f} GiB, load average {load:.1f} at the start"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns, the first to the left and the others to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        padded = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)
