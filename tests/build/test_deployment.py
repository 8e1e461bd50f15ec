"""What a revision's pods get besides what the user wrote."""

from __future__ import annotations

from typing import Any

import pytest

from seatrial.build.deployment import render
from tests.sim.world import base_spec


def pod(drain: str | None, **template: Any) -> dict[str, Any]:
    spec = base_spec()
    spec["template"]["spec"] |= template
    spec["traffic"] = {"hostnames": ["fraud.example.com"], **({"drain": drain} if drain else {})}
    found: dict[str, Any] = render("fraud", "models", "0123456789", spec)["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize(
    ("drain", "seconds"), [("90s", 98), ("1h", 3608), ("1500ms", 30), ("22500ms", 31), ("0s", 30), (None, 38)]
)
def test_a_leaving_pod_has_the_drain_after_its_sleep_and_never_less_than_usual(drain: str, seconds: int) -> None:
    assert pod(drain)["terminationGracePeriodSeconds"] == seconds


def test_what_the_template_says_stays() -> None:
    assert pod("90s", terminationGracePeriodSeconds=5)["terminationGracePeriodSeconds"] == 5
