"""Somebody freezes the namespace of a model in mid-trial, and takes it back."""

from __future__ import annotations

import time

import pytest

from tests.cluster.model import Model, lost_nothing


def annotate(model: Model, reason: str | None) -> None:
    patch = {"metadata": {"annotations": {"seatrial.dev/freeze": reason}}}
    model.api.merge("Namespace", "", model.namespace, patch)


@pytest.mark.together
def test_frozen_and_on_again(model: Model) -> None:
    """Heard of by the chart's role within seconds, both times, and nothing rises in between."""
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        unjudged = {"analysis": {"interval": "5s", "none": "nothing but the freeze is in the way"}}
        model.apply(model.spec(GENERATION=2, more=unjudged))
        second = model.on_step(20)
        annotate(model, "year-end closing")
        began = time.monotonic()
        status = model.until("frozen", lambda s: s["rollout"].get("overlay", {}).get("kind") == "Frozen", 5)
        frozen = time.monotonic() - began
        assert "year-end closing" in status["message"]
        time.sleep(12)
        assert model.status["weight"] == "20", "the step would be over by now"
        annotate(model, None)
        began = time.monotonic()
        model.until("no longer frozen", lambda s: not s.get("rollout", {}).get("overlay"), 5)
        thawed = time.monotonic() - began
        assert model.stable(60, other_than=first) == second
    lost_nothing(traffic.report)
    assert any(reason == "Frozen" and "year-end closing" in message for reason, message in model.events())
    model.notes.append(f"frozen after {frozen:.1f} s, on again after {thawed:.1f} s")
