"""How two answers to the same request are compared."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from seatrial.api.base import Model, Number
from seatrial.api.mode import AgreementMode


class Agreement(Model):
    """Both models' answers to the same live request, compared by named output while copies go to the candidate."""

    output: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    """The output that has to be the same; left out, all that stable's answer has."""
    mode: AgreementMode = AgreementMode.NUMERIC
    """`Numeric`: every value. `Class`: the label, of scores the largest. `TopK`: the set of the k best."""
    tolerance: Number | None = None
    """Numeric: numbers are equal when |a - b| <= tolerance * max(1, |a|); 0.0001 where left out."""
    top_k: Annotated[int, Field(ge=1, le=1000)] | None = None
    """TopK: how many of the best have to be the same; 5 where left out."""
