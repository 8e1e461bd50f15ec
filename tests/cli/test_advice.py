"""What people see of a check that only warns."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from seatrial.cli import asking, errors, view, waits
from seatrial.cli.reading import Reading
from seatrial.core.commands import Action
from tests.cli.worlds import NEW, NOW, WORLDS


def failing(*, advisory: bool) -> dict[str, Any]:
    """A canary whose first check fails while all others pass."""
    model = WORLDS["canary"]()
    for check in model["status"]["checks"]:
        check["outcome"] = "Pass"
    first = model["status"]["checks"][0]
    first |= {"outcome": "Fail", "message": "errors 31 %: fail"} | ({"advisory": True} if advisory else {})
    return model


def drawn(picture: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=100, highlight=False).print(picture)
    return out.getvalue()


def test_advice_is_marked_and_nothing_waits_for_it() -> None:
    assert "(advice)" in drawn(view.live(failing(advisory=True), NOW))
    assert "(advice)" not in drawn(view.live(failing(advisory=False), NOW))
    waiting, free = (
        [wait.kind for wait in waits.waits_for(Reading(failing(advisory=advisory)), NOW)] for advisory in (False, True)
    )
    assert "check" in waiting
    assert "check" not in free


def test_advice_does_not_refuse_a_promotion() -> None:
    assert asking.target(Reading(failing(advisory=True)), Action.PROMOTE) == NEW
    with pytest.raises(errors.CliError):
        asking.target(Reading(failing(advisory=False)), Action.PROMOTE)
