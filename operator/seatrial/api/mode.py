"""What of an answer has to be the same. Apart from the models of the resource, since commands that need no more of it
would wait for pydantic."""

from __future__ import annotations

from enum import StrEnum


class AgreementMode(StrEnum):
    """What of an answer has to be the same."""

    NUMERIC = "Numeric"
    """Every value, numbers within a tolerance."""
    CLASS = "Class"
    """The label; of scores, the place of the largest one."""
    TOP_K = "TopK"
    """The set of the k best; of labels, the first k."""
