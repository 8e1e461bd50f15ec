"""The shop that asks the light model counts as `docs/kpi.md` says, and what the page checks is what it counts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dev.controlplane import free_port
from seatrial.api.spec import Check
from seatrial.core import promql
from tests.support.pages import checks_on

LIGHT = Path(__file__).resolve().parents[2] / "dev" / "models" / "light"
SECONDS = 30
"""For a process of Python to start on a busy machine."""


@contextmanager
def program(name: str, **environment: object) -> Iterator[subprocess.Popen[str]]:
    variables = {**os.environ, **{key: str(value) for key, value in environment.items()}}
    process = subprocess.Popen([sys.executable, LIGHT / name], env=variables, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def counted(port: int, least: int) -> dict[str, float]:
    """The shop's counters once it has shown so many offers."""
    limit = time.monotonic() + SECONDS
    while time.monotonic() < limit:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except urllib.error.URLError:
            text = ""
        found = {name: float(value) for name, value in re.findall(r"^(\w+{.*}) (\S+)$", text, re.MULTILINE)}
        if found.get('shop_offers_total{model_revision="e04d5521aa"}', 0) >= least:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {least} offers within {SECONDS} s")


@pytest.fixture
def shop() -> Iterator[dict[str, float]]:
    """What a shop counts whose model says no to every fifth customer."""
    model, metrics, own = free_port(), free_port(), free_port()
    told = {"TELL_REVISION": "yes", "HOSTNAME": "m-e04d5521aa-7d9f-x2x4z", "NO_RATE": 0.2}
    with program("server.py", PORTS=f"{model},{metrics}", **told) as server:
        assert server.stderr is not None and "listens" in server.stderr.readline()
        with program("shop.py", MODEL=f"127.0.0.1:{model}", METRICS_PORT=own, RATE=400, ORDERED=1):
            yield counted(own, 200)


def test_the_shop_counts_by_the_revision_that_answered(shop: dict[str, float]) -> None:
    counts = {re.sub("{.*}", "", name): value for name, value in shop.items()}
    assert len(counts) == len(shop) == 3, "one revision answered"
    assert counts["shop_orders_total"] == pytest.approx(0.8 * counts["shop_offers_total"], abs=10)
    assert counts["shop_revenue_euros_total"] > counts["shop_orders_total"], "an order is more than a euro"


def test_the_page_reads_what_the_shop_counts(shop: dict[str, float]) -> None:
    found = [Check.model_validate(check) for check in checks_on("kpi.md").values()]
    asked = [one for check in found if (one := check.share or check.mean) and one.revision_label]
    assert {check.name for check in found} >= {"orders", "revenue"}
    assert {one.revision_label for one in asked} == {"model_revision"}
    for one in asked:
        for selector in (one.of, one.per):
            named = promql.named(selector)
            assert not isinstance(named, str), named
            assert f'{named.metric}{{model_revision="e04d5521aa"}}' in shop
