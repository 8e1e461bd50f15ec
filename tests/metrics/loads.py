"""The load between the two pages of each recording, and the pages as counters.

What was sent to the servers that were recorded is in `server_lab.py`, `envoy_lab.py` and, for MLServer, the first test of
`test_presets.py`; the other pages were written for these numbers, as their first line says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.api.spec import CheckPreset, MetricSource
from seatrial.metrics import presets
from tests.checks.builders import CANDIDATE, STABLE

RECORDINGS = Path(__file__).parent / "recordings"
PRESETS = presets.load()
Counts = tuple[int, int]
"""Events and total."""


@dataclass(frozen=True)
class Timed:
    """What took longer than an edge of a histogram."""

    limit: float
    """Seconds, as `slowerThan` says it."""
    edge: str
    """The edge that is used for it."""
    candidate: Counts
    stable: Counts | None = None
    """The candidate's where left out: both arms show the same page."""


@dataclass(frozen=True)
class Load:
    """What a preset returns between its two pages."""

    errors: Counts
    stable: Counts | None = None
    timed: Mapping[CheckPreset, Timed] = field(default_factory=dict)
    pages: str = ""
    """Beginning of the files' names; the preset's where left out."""


LATENCY, FIRST, INTER = CheckPreset.LATENCY, CheckPreset.FIRST_TOKEN, CheckPreset.INTER_TOKEN
LOADS: Mapping[str, Load] = {
    "bentoml": Load((5, 49), timed={LATENCY: Timed(0.25, "0.25", (4, 49))}, pages="bentoml-1.4.40"),
    "dynamo": Load(
        (5, 49),
        timed={
            LATENCY: Timed(0.8, "1", (4, 46)),
            FIRST: Timed(0.25, "0.25", (4, 44)),
            INTER: Timed(0.05, "0.05", (50, 5000)),
        },
    ),
    "envoy-gateway": Load(
        (8, 53), (3, 309), timed={LATENCY: Timed(0.1, "100", (5, 49), (6, 308))}, pages="envoy-1.40.0"
    ),
    "ingress-nginx": Load((5, 51), (3, 309), timed={LATENCY: Timed(0.25, "0.25", (4, 46), (6, 306))}),
    "istio": Load((5, 49), (3, 309), timed={LATENCY: Timed(0.25, "250", (4, 46), (6, 306))}),
    "knative": Load((5, 49), (3, 309), timed={LATENCY: Timed(0.25, "0.25", (4, 49), (6, 309))}),
    "kserve-python": Load((0, 49), timed={LATENCY: Timed(0.25, "0.25", (4, 49))}, pages="kserve-0.21.0"),
    "linkerd": Load((5, 49), (3, 309), timed={LATENCY: Timed(0.15, "200", (4, 46), (6, 306))}),
    "llm-d": Load((5, 49), timed={LATENCY: Timed(0.2, "0.2", (4, 49))}),
    "mlserver": Load((7, 222), timed={LATENCY: Timed(0.25, "0.25", (11, 222))}, pages="mlserver-1.7.1"),
    "openvino": Load((5, 49), timed={LATENCY: Timed(0.15, "198359", (4, 49))}),
    "ray-serve": Load((5, 49), timed={LATENCY: Timed(0.25, "300", (4, 49))}, pages="ray-serve-2.60.0"),
    "seldon-v2": Load((5, 49)),
    "tf-serving": Load((5, 49), timed={LATENCY: Timed(0.15, "198359.3", (4, 42))}),
    "tgi": Load((5, 49), timed={LATENCY: Timed(0.3, "0.3244", (4, 42))}),
    "torchserve": Load((5, 49)),
    "traefik": Load((5, 51), (3, 309), timed={LATENCY: Timed(0.3, "0.3", (4, 46), (6, 306))}),
    "triton": Load((5, 49), pages="triton-2.51.0"),
    "vllm": Load(
        (5, 49),
        timed={
            LATENCY: Timed(1.0, "1", (4, 42)),
            FIRST: Timed(0.25, "0.25", (4, 46)),
            INTER: Timed(0.05, "0.05", (50, 5000)),
        },
    ),
}


def page(name: str, when: str) -> str:
    """The page of a preset's server, `before` the load or `after` it."""
    return (RECORDINGS / f"{LOADS[name].pages or name}-{when}.prom").read_text()


def deployment(name: str) -> str:
    """The ModelDeployment whose numbers a recording holds: a gateway's pages name its Services."""
    return "fraud" if PRESETS[name].source is MetricSource.GATEWAY else name


def targets(name: str) -> Mapping[str, Mapping[str, str]]:
    """What a scrape adds, by job: the pods of both arms where they count themselves, else the one that counts both."""
    if PRESETS[name].source is MetricSource.GATEWAY or PRESETS[name].only_by_query:
        return {name: {"pod": f"{name}-1"}}
    return {
        f"{name}-{arm}": {"namespace": "payments", "pod": f"{name}-{revision}-6c5d-x2x4z"}
        for arm, revision in (("stable", STABLE), ("candidate", CANDIDATE))
    }


def samples(text: str) -> Iterator[tuple[dict[str, str], float]]:
    """The series of a page, and their values."""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        found = re.fullmatch(r"([^{\s]+)(?:\{(.*)\})?\s+(\S+)", line)
        assert found is not None, line
        labels = dict(re.findall(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"', found[2] or ""))
        yield {"__name__": found[1], **labels}, float(found[3])
