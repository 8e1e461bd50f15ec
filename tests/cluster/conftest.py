"""A cluster, an operator in it, a namespace and a model for each test, and what the clients sent and lost."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import dev.cluster
from dev import extras
from dev.errors import DevError
from dev.models import images
from dev.traffic import Request
from tests.cluster.api import Api
from tests.cluster.installed import Operator, build
from tests.cluster.model import Model
from tests.cluster.together import Outcome, Stage

NAME = os.environ.get("SEATRIAL_TEST_CLUSTER", "tests")
HERE = Path(__file__).parent
OUTCOMES: dict[str, Outcome] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "addon(name): needs an add-on of the cluster, which is built beforehand")
    config.addinivalue_line("markers", "together: may run at the same time as other tests of this mark")
    config.addinivalue_line("markers", "heavy: needs a processor of its own, so only one of these runs at a time")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marked before `-m` selects. Those that run together first, the others after them, one by one."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.cluster)
        # By a signal, so that fixtures are torn down and no cluster is left behind. Without the setup of the first
        # test, which builds for many minutes where the cache is cold.
        item.add_marker(pytest.mark.timeout(600, method="signal", func_only=True))
    ours.sort(key=lambda item: item.get_closest_marker("together") is None)
    items[:] = [item for item in items if HERE not in item.path.parents] + ours


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Collect the result of a test that runs beside others."""
    if pyfuncitem.get_closest_marker("together") is None:
        return None
    stage = pyfuncitem.funcargs["stage"]
    assert isinstance(stage, Stage)
    if not stage.has(pyfuncitem):
        items = [item for item in pyfuncitem.session.items if isinstance(item, pytest.Function)]
        stage.begin([item for item in items if item.get_closest_marker("together") is not None])
    stage.end(pyfuncitem)
    return True


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[dev.cluster.Cluster]:
    """The cluster of the tests; one that was up before stays up."""
    addons = {mark.args[0] for item in request.session.items for mark in item.iter_markers("addon")}
    before = dev.cluster.status(NAME) == "up"
    try:
        with ThreadPoolExecutor() as pool:
            models = [pool.submit(images.light_archive), pool.submit(images.demo_archive)]
            built = pool.submit(build)
            found = dev.cluster.up(NAME)
            for addon in sorted(addons):
                extras.prepare(addon)
            for archive in [*models, built]:
                dev.cluster.load(NAME, archive.result())
    except DevError as error:
        pytest.skip(f"no cluster can be had here: {error}")
    yield found
    if not before:
        dev.cluster.down(NAME)


@pytest.fixture(scope="session")
def operator(cluster: dev.cluster.Cluster) -> Iterator[Operator]:
    """The operator, installed once by its chart from the image of its Dockerfile."""
    api = Api(cluster.kubeconfig)
    found = Operator(cluster, api, build())
    found.install()
    yield found
    api.close()


@pytest.fixture(scope="session")
def rows() -> list[Request]:
    """Rows of the demo's data, with the right answers."""
    lines = (images.trained() / "requests.jsonl").read_text().splitlines()
    return [Request(json.dumps(json.loads(line)["body"]), json.loads(line)["data"]) for line in lines]


@pytest.fixture(scope="session")
def stage(cluster: dev.cluster.Cluster, operator: Operator, rows: list[Request]) -> Iterator[Stage]:
    found = Stage(cluster, operator, rows, OUTCOMES)
    yield found
    found.quit()


@pytest.fixture
def model(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Model | None]:
    """A light model in a namespace of its own; nothing is applied yet."""
    if request.node.get_closest_marker("together") is not None:
        yield None  # it has one already, in its own thread
        return
    with stage.model(request.node.name) as found:
        yield found


@pytest.fixture
def screening(model: Model | None) -> Model | None:
    """The same for the demo's model, which a real MLServer serves."""
    if model is not None:
        model.model = "breast-cancer"
    return model


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not OUTCOMES:
        return
    terminalreporter.section("requests sent and lost")
    for name, outcome in OUTCOMES.items():
        for report in outcome.reports:
            kinds = ", ".join(f"{count} {kind}" for kind, count in report.lost.items())
            terminalreporter.line(f"{report.sent:8} sent {report.lost_total:6} lost  {name}  {kinds}")
        for note in outcome.notes:
            terminalreporter.line(f"{'':27}{note}")
