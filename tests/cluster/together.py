"""Tests that do not disturb one another run at the same time: most of what they do is wait for a clock.

A test marked `together` is begun with all others of its kind when the first of them is due, each in a thread and with
a namespace of its own; pytest then collects the results one by one, in their order.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

import dev.cluster
from dev.traffic import Report, Request
from tests.cluster.api import Api
from tests.cluster.installed import Operator
from tests.cluster.model import Model

AT_ONCE = 3
"""Each has a client of sixty requests a second and a few pods; beside these one test at a time is heavy. That is what two
cores carry: with more, requests time out that nobody lost."""


@dataclass
class Outcome:
    """What a test leaves for the summary, whether it passed or not."""

    reports: list[Report] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _is_heavy(item: pytest.Function) -> bool:
    """Whether it has real MLServers, each start of which takes a core for three seconds, or says that it needs a core itself."""
    return "screening" in item._fixtureinfo.argnames or item.get_closest_marker("heavy") is not None


@dataclass
class Stage:
    """What tests play on."""

    cluster: dev.cluster.Cluster
    operator: Operator
    rows: Sequence[Request]
    outcomes: dict[str, Outcome]
    _futures: dict[str, Future[None]] = field(default_factory=dict)

    @contextmanager
    def model(self, test: str) -> Iterator[Model]:
        """A model in a new namespace, and its end."""
        short = re.sub("[^a-z0-9]+", "-", test.removeprefix("test_").lower())[:40].strip("-")
        namespace = f"{short}-{os.urandom(2).hex()}"
        api = Api(self.cluster.kubeconfig)
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        host, port = self.cluster.gateway_address.rsplit(":", 1)
        model = Model(api, (host, int(port)), namespace)
        try:
            yield model
        finally:
            clients = [client for client in model.clients if client.started]
            self.outcomes[test] = Outcome([client.report for client in clients], model.notes)
            # The model first: in a namespace that is going away nothing can be written any more.
            if api.find("ModelDeployment", namespace, model.name) is not None:
                api.delete("ModelDeployment", namespace, model.name)
            api.delete("Namespace", "", namespace)
            api.close()

    def begin(self, items: Sequence[pytest.Function]) -> None:
        """Start all of them, a few at a time."""
        light, heavy = ThreadPoolExecutor(AT_ONCE), ThreadPoolExecutor(1)
        for item in items:
            pool = heavy if _is_heavy(item) else light
            self._futures[item.nodeid] = pool.submit(self._play, item)
        light.shutdown(wait=False)
        heavy.shutdown(wait=False)

    def has(self, item: pytest.Item) -> bool:
        """Whether it was begun."""
        return item.nodeid in self._futures

    def end(self, item: pytest.Item) -> None:
        """Wait for one of them; raises what it raised."""
        self._futures[item.nodeid].result()

    def quit(self) -> None:
        """Begin no more of them, and wait for those under way."""
        for future in self._futures.values():
            future.cancel()
        for future in self._futures.values():
            if not future.cancelled():
                future.exception()

    def _play(self, item: pytest.Function) -> None:
        with self.model(item.name) as model:
            parameters = dict(item.callspec.params) if hasattr(item, "callspec") else {}
            offered = {"model": model, "operator": self.operator, "rows": self.rows, **parameters}
            asked = item._fixtureinfo.argnames
            if "screening" in asked:
                model.model = "breast-cancer"
                offered["screening"] = model
            item.obj(**{name: offered[name] for name in asked})
