"""What a model says, watched by its scores and decisions: real MLServers, a histogram, a counter, and live rows."""

from __future__ import annotations

import time

import pytest

from dev.traffic import Request
from tests.cluster.api import Object
from tests.cluster.model import ERRORS, Model, lost_nothing, staged
from tests.cluster.recorded import preflight, recording

V2, V5, TAIL, RECALIBRATED = (f"localhost/demo-model:{tag}" for tag in ("v2", "v5", "tail", "recalibrated"))
SHADOW = {"shadow": {"percent": 100, "minDuration": "10s"}}
CANARY = {"canary": {"steps": [{"weight": 50, "minDuration": "5s"}]}}


def decided(name: str, decision: str, relative: str) -> Object:
    """A check on the share of one decision; like all of its kind it pauses."""
    share = {"of": f'model_decisions_total{{decision="{decision}"}}', "per": "model_decisions_total"}
    return {"name": name, "share": share, "margin": {"relative": relative}, "worseWhen": "Either", "onFail": "Pause"}


SCORES = {"name": "scores", "drift": {"histogram": "model_score", "statistic": "PSI", "max": "0.25"}}
"""A drift check pauses unless it says otherwise."""
CLEARED = decided("cleared", "clear", "10%")
URGENT = decided("urgent", "urgent", "20%")


def failed(status: Object, *names: str) -> bool:
    """Whether all these checks failed."""
    outcomes = {check["name"]: check.get("outcome") for check in status.get("checks", [])}
    return all(outcomes.get(name) == "Fail" for name in names)


def paused(status: Object) -> bool:
    return bool(status.get("rollout", {}).get("overlay", {}).get("kind") == "Paused")


@pytest.mark.together
def test_skew_that_no_recorded_row_shows_is_stopped_in_the_shadow(screening: Model, rows: list[Request]) -> None:
    """200 OK, quick, right on every recorded row, and wrong on one live row in seven. Nobody gets one of its answers."""

    def wanted(image: str, version: str) -> Object:
        spec = staged(
            screening, SHADOW, CANARY, image=image, replicas=1, version=version, checks=(ERRORS, SCORES, CLEARED)
        )
        return {**spec, **preflight(version)}

    recording(screening, "2")
    recording(screening, "5")
    screening.apply(wanted(V2, "2"))
    first = screening.stable()
    with screening.traffic(rows) as traffic:
        time.sleep(15)  # a few scrapes of what stable says: bins are made of its past
        screening.apply(wanted(V5, "5"))
        screening.until("the shadow", lambda s: s.get("phase") == "Shadow" and s["rollout"].get("confirmedAt"), 60)
        began = time.monotonic()
        screening.until("scores have drifted", lambda s: failed(s, "scores"), 60)
        screening.notes.append(f"drift was found after {time.monotonic() - began:.0f} s of copies")
        status = screening.until("decisions differ", lambda s: failed(s, "scores", "cleared"), 90)
        screening.notes.append(f"other decisions were found after {time.monotonic() - began:.0f} s of copies")
        assert status["phase"] == "Shadow"
        assert paused(status), "it waits for a person"
        screening.ask("abort", "calls malignant rows harmless")
        screening.sent_back()
    assert set(traffic.report.revisions) == {first}, "nobody was answered by the candidate"
    lost_nothing(traffic.report)


@pytest.mark.together
def test_a_class_that_falls_in_the_tail_waits_for_a_person(screening: Model, rows: list[Request]) -> None:
    """Every answer is right and the mean score is the same; but six of ten urgent cases are not called urgent any more."""

    def wanted(image: str, version: str) -> Object:
        return screening.spec(image, replicas=1, version=version, steps=[(50, "5s")], checks=(ERRORS, CLEARED, URGENT))

    screening.apply(wanted(V2, "2"))
    first = screening.stable()
    with screening.traffic(rows) as traffic:
        screening.apply(wanted(TAIL, "tail"))
        second = screening.on_step(50, 60)
        began = time.monotonic()
        status = screening.until("fewer urgent ones", lambda s: failed(s, "urgent"), 90)
        screening.notes.append(
            f"the fall in the tail was found after {time.monotonic() - began:.0f} s at half the traffic"
        )
        assert not failed(status, "cleared"), "where the rest of the decisions are the same"
        screening.until("it waits for a person", paused)
        screening.ask("abort", "who finds the urgent ones now?")
        screening.sent_back()
    assert set(traffic.report.revisions) == {first, second}
    lost_nothing(traffic.report)


@pytest.mark.together
def test_a_harmless_recalibration_waits_and_is_accepted_by_a_person(screening: Model, rows: list[Request]) -> None:
    """Every score is another one and every decision the same: drift says so, and a person says that this is meant."""

    def wanted(image: str, version: str) -> Object:
        return screening.spec(image, replicas=1, version=version, steps=[(50, "5s")], checks=(ERRORS, SCORES, CLEARED))

    screening.apply(wanted(V2, "2"))
    first = screening.stable()
    with screening.traffic(rows) as traffic:
        time.sleep(15)  # a few scrapes of what stable says: bins are made of its past
        screening.apply(wanted(RECALIBRATED, "recalibrated"))
        second = screening.on_step(50, 60)
        status = screening.until("scores have drifted", lambda s: failed(s, "scores") and paused(s), 60)
        assert not failed(status, "cleared")
        screening.ask("accept", "scores recalibrated, thresholds moved with them")
        assert screening.stable(120, other_than=first) == second
    lost_nothing(traffic.report)
    newest = screening.status["history"][0]
    assert newest["outcome"] == "Promoted"
    (accepted,) = newest["accepted"]
    assert accepted["check"] == "scores"
    assert accepted["reason"] == "recalibrated, thresholds moved with them"
