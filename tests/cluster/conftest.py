"""A cluster, an operator in it, a namespace and a model for each test, and what the clients sent and lost."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import dev.cluster
from dev.errors import DevError
from dev.models import images
from dev.traffic import Report, Request, TrafficClient
from tests.cluster.api import Api
from tests.cluster.installed import Operator
from tests.cluster.model import Model

NAME = os.environ.get("SEATRIAL_TEST_CLUSTER", "tests")
HERE = Path(__file__).parent
REPORTS: dict[str, list[Report]] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def cluster() -> Iterator[dev.cluster.Cluster]:
    """The cluster of the tests; one that was up before stays up."""
    before = dev.cluster.status(NAME) == "up"
    try:
        found = dev.cluster.up(NAME)
        dev.cluster.load(NAME, images.light_archive())
        dev.cluster.load(NAME, images.demo_archive())
    except DevError as error:
        pytest.skip(f"no cluster can be had here: {error}")
    yield found
    if not before:
        dev.cluster.down(NAME)


@pytest.fixture(scope="session")
def api(cluster: dev.cluster.Cluster) -> Iterator[Api]:
    found = Api(cluster.kubeconfig)
    yield found
    found.close()


@pytest.fixture(scope="session")
def operator(cluster: dev.cluster.Cluster, api: Api) -> Operator:
    """The operator, installed once by its chart from the image of its Dockerfile."""
    found = Operator(cluster, api)
    found.install()
    return found


@pytest.fixture
def model(
    request: pytest.FixtureRequest, cluster: dev.cluster.Cluster, api: Api, operator: Operator
) -> Iterator[Model]:
    """A name for a light model in a namespace of its own; nothing is applied yet."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    namespace = f"{name}-{os.urandom(2).hex()}"
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    host, port = cluster.gateway_address.rsplit(":", 1)
    yield Model(api, (host, int(port)), namespace)
    api.delete("Namespace", "", namespace)


@pytest.fixture
def screening(model: Model) -> Model:
    """The same for the demo's model, which a real MLServer serves."""
    model.model = "breast-cancer"
    return model


@pytest.fixture(scope="session")
def rows() -> list[Request]:
    """Rows of the demo's data, with the right answers."""
    lines = (images.trained() / "requests.jsonl").read_text().splitlines()
    return [Request(json.dumps(json.loads(line)["body"]), json.loads(line)["data"]) for line in lines]


@pytest.fixture(autouse=True)
def reports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what each test's client sent and lost, for the summary."""
    stop = TrafficClient.stop

    def kept(client: TrafficClient) -> Report:
        report = stop(client)
        reports = REPORTS.setdefault(request.node.name, [])
        if report not in reports:
            reports.append(report)
        return report

    monkeypatch.setattr(TrafficClient, "stop", kept)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if REPORTS:
        terminalreporter.section("requests sent and lost")
        for name, reports in REPORTS.items():
            for report in reports:
                kinds = ", ".join(f"{count} {kind}" for kind, count in report.lost.items())
                terminalreporter.line(f"{report.sent:8} sent {report.lost_total:6} lost  {name}  {kinds}")
