"""What became of a plan's writes, as data: the shell fills it in, `after_apply` turns it into status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seatrial.api.status import Written
from seatrial.core.state import Ref

FailureKind = Literal["quota", "conflict", "refused", "error"]


@dataclass(frozen=True, slots=True)
class ApplyFailure:
    """One object that could not be written.

    `quota`: a ResourceQuota forbids it, for now. `conflict`: somebody else owns the name, or wrote it at
    the same moment. `refused`: the API server will never take it as it is (retried only on a change).
    `error`: the API server could not be asked, or failed; trying again helps.
    """

    ref: Ref
    kind: FailureKind
    message: str
    """The API server's words, or ours, as a sentence."""


@dataclass(frozen=True, slots=True)
class ApplyOutcome:
    """The result of writing `Plan.apply` and carrying out `Plan.prune`."""

    written: tuple[Written, ...] = ()
    """The complete list for `status.written`, sorted by `ref`: every managed object that exists."""
    repaired: tuple[Ref, ...] = ()
    """Objects that somebody else had changed and that are now as they shall be."""
    failures: tuple[ApplyFailure, ...] = ()
    """Objects that are not as they shall be, in the order of the plan."""
    changed: bool = False
    """Something in the cluster was written: the picture is a new one, look again."""
