"""Numbers from elsewhere: a shop counts orders by `x-model-revision`, and its numbers speak in the trial."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.cluster.api import Object
from tests.cluster.model import ERRORS, PARTS, Model
from tests.cluster.shop import open_shop, unanswered
from tests.support.pages import checks_on

PAGE = checks_on("kpi.md")
LATENCY = {**PAGE["latency"], "margin": {"points": "10"}}
"""A margin for a machine that is busy elsewhere."""
RATE = 160
"""Customers a second: a share of 90 % takes two thousand offers of each revision to be told from one of 81 %."""


@pytest.mark.together
@pytest.mark.heavy
def test_a_model_that_sells_less_is_sent_back_and_one_that_sells_as_much_is_promoted(model: Model) -> None:
    """Both are quick and without errors. With one of them a tenth of the orders is missing."""

    def wanted(*checks: Object, **environment: Any) -> Object:
        return model.spec(replicas=1, steps=[(50, "5s")], checks=checks, **environment)

    orders = PAGE["orders"]
    model.apply(wanted(ERRORS, LATENCY, orders, GENERATION=1))
    first = model.stable()
    open_shop(model, RATE)
    time.sleep(20)  # a few scrapes of what stable sells: a trial begins with a look at its past
    model.apply(wanted(ERRORS, LATENCY, orders, GENERATION=2))
    second = model.stable(120, other_than=first)
    # What an order brings is read too; its own horizon lets it say nothing so early.
    model.apply(wanted(ERRORS, LATENCY, orders, PAGE["revenue"], GENERATION=3, NO_RATE=0.1))
    third = model.on_step(50)
    began = time.monotonic()
    model.until("revenue of both", lambda s: re.search(r"\(n=[\d,]+ vs [\d,]+ shop_orders_total\)", said(s, "revenue")))
    model.until(
        "perfect but for the orders", lambda s: said(s, "latency") and said(s, "errors").startswith("errors 0.00% vs")
    )
    status = model.sent_back(120)
    model.notes.append(
        f"fewer orders were found after {time.monotonic() - began:.0f} s at half the traffic: {status['message']}"
    )
    assert "check orders failed: orders " in status["message"]
    assert re.search(r"points lower \(chance .*\): fail", status["message"])
    assert status["stable"] == second
    weights = model.weights()
    assert (weights[second], weights.get(third, 0)) == (PARTS, 0)
    assert [(one["revision"], one["outcome"]) for one in status["history"][:2]] == [
        (third, "RolledBack"),
        (second, "Promoted"),
    ]
    assert unanswered(model) == [], "the shop got every answer"


def said(status: Object, name: str) -> str:
    """The sentence of a check."""
    return next((str(check.get("message", "")) for check in status.get("checks", []) if check["name"] == name), "")
