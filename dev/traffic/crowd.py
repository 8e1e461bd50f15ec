"""Clients of several kinds at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from dev.traffic.client import TrafficClient
from dev.traffic.report import Report


class Crowd:
    """A client for each kind of request, each with its own tally."""

    def __init__(self, clients: Mapping[str, TrafficClient]) -> None:
        self._clients = clients

    def stop(self) -> dict[str, Report]:
        """Send no more, wait for what is under way, and say what each kind came to."""
        # At once: while the one waits for its streams the others would go on sending.
        with ThreadPoolExecutor(len(self._clients)) as pool:
            return dict(zip(self._clients, pool.map(TrafficClient.stop, self._clients.values()), strict=True))

    @property
    def reports(self) -> dict[str, Report]:
        """The final reports by kind; stops those that still send."""
        return self.stop()

    def lost(self) -> dict[str, int]:
        """Requests lost so far by kind, up to the last whole second."""
        return {kind: client.totals()[2] for kind, client in self._clients.items()}

    def __enter__(self) -> Self:
        for client in self._clients.values():
            client.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
