"""Situations and answers for tests of checks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from seatrial.api.spec import Check, CheckPreset, MetricSource, Runtime
from seatrial.api.status import Arms, CheckStatus, Tally
from seatrial.core.checks import Arm, Situation
from seatrial.core.checks.gathering import gathered, kept
from seatrial.core.checks.terms import terms_of
from seatrial.core.questions import Counters, Series
from seatrial.core.statistics import clumps
from seatrial.core.statistics.clumps import Pace
from seatrial.metrics import presets
from tests.checks.world import EPOCH, T0

PRESETS = presets.load()
ERRORS = Check(name="errors", preset=CheckPreset.ERRORS)
LATENCY = Check(name="latency", preset=CheckPreset.LATENCY)
INTERVAL = timedelta(seconds=15)
STABLE, CANDIDATE = "7c9f1b20de", "e04d5521aa"


def situation(now: datetime = T0, **changes: Any) -> Situation:
    fields: dict[str, Any] = {
        "namespace": "payments",
        "name": "fraud",
        "stable": Arm(STABLE, "a"),
        "candidate": Arm(CANDIDATE, "b"),
        "runtime": Runtime.MLSERVER,
        "model_name": "fraud",
        "weight": 5.0,
        "last": False,
        "concurrent": True,
        "min_samples": 200,
        "settled": True,
        "confirmed_at": T0,
        "start": T0,
        "now": now,
    }
    return Situation(**{**fields, **changes})


def arms(candidate: tuple[int, int], stable: tuple[int, int] = (0, 0)) -> Arms:
    """(events, total) of both."""
    return Arms(
        candidate=Tally(events=candidate[0], total=candidate[1]), stable=Tally(events=stable[0], total=stable[1])
    )


def looked(looks: Iterable[Arms], check: Check = ERRORS, *, past: Iterable[Arms] = (), **where: Any) -> CheckStatus:
    """The evidence after looks 15 s apart, the last one at T0 + 15 s times their number; `past` are stable's windows."""
    pace = Pace()
    for window in past:
        pace = clumps.observed(pace, window.stable.events, window.stable.total)
    have = begun(name=check.name, pace=kept(pace))
    for index, new in enumerate(looks, 1):
        have = gathered(have, situation(T0 + index * INTERVAL, **where), new, terms_of(check))
    return have


def begun(source: MetricSource | None = MetricSource.GATEWAY, name: str = "errors", **changes: Any) -> CheckStatus:
    return CheckStatus(name=name, source=source, through=T0).model_copy(update=changes)


def envoy(
    slot: int, samples: Iterable[tuple[float, int, int]], *, instance: str = "envoy:19001", extra: int = 0
) -> Counters:
    """(seconds after T0, good requests, errors) as one Envoy counts them for a slot; and the cluster's members."""
    samples = list(samples)
    labels = {
        "instance": instance,
        "job": "envoy",
        "envoy_cluster_name": f"httproute/payments/fraud/rule/0/backend/{slot}",
    }
    out = [
        Series(
            {**labels, "__name__": "envoy_cluster_membership_total"},
            tuple((EPOCH + t, 2.0 + extra) for t, _, _ in samples),
        )
    ]
    for code, index in (("2", 1), ("5", 2)):
        values = tuple((EPOCH + row[0], float(row[index])) for row in samples if row[index])
        if values:
            name = {"__name__": "envoy_cluster_upstream_rq_xx", "envoy_response_code_class": code}
            out.append(Series({**labels, **name}, values))
    return Counters(tuple(out))
