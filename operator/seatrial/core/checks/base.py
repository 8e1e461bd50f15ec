"""What every kind of check is given and gives back.

A kind is a module with the functions of `Kind`. A trial goes through them like this:

1. Before any pod of the candidate is started: `opening_questions`, then `opening`. It finds out where stable's
   numbers are, or refuses with the query and the names that do exist.
2. At each look: `ask`, then `fold`, then `judge`. `fold` adds what happened since `CheckStatus.through` and
   moves `through` to now; if it could not count, it leaves counts and `through` alone, says NoData or Error, and the
   next look covers the longer stretch. Nothing is lost and nothing is counted twice.
3. When a weight is confirmed, or evidence is void: `restart`.

All functions are pure. Times are read to the millisecond, the precision that status keeps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from seatrial.api.spec import Check, Runtime
from seatrial.api.status import MOST_NEEDED, CheckStatus, Outcome
from seatrial.build.names import child_name
from seatrial.core.checks.preset import Preset, literal
from seatrial.core.questions import MetricAnswer, MetricQuestion

INGESTION = timedelta(milliseconds=500)
"""How far behind now counters are read. Prometheus stamps a sample when the scrape begins and shows it when the
scrape has ended; read too early, it would be missing now and taken for the past at the next look."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of the comparison."""

    revision: str
    slot: Literal["a", "b"]
    """Which backend of the route it is."""
    pods: Mapping[str, datetime] = field(default_factory=dict)
    """The pods that exist, with their creation times."""
    ready: int = 0
    """How many of them are ready."""
    copied: bool = False
    """It gets copies of live requests instead of a share of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the gateway counts live requests, which it names by positions."""

    route: str
    rule: int = 0
    """Position of the rule in the route."""
    ahead: int = 0
    """Filters of the rule before the copies."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Where the trial is at this look."""

    namespace: str
    name: str
    """The ModelDeployment's name."""
    stable: Arm | None
    candidate: Arm
    runtime: Runtime
    model_name: str | None
    """The model's name inside its server."""
    weight: float
    """Percent of live traffic confirmed at the candidate."""
    last: bool
    """The last step: acceptance."""
    concurrent: bool
    """Stable answers live traffic beside the candidate."""
    min_samples: int
    settled: bool
    """The settle time after the confirmation is over."""
    confirmed_at: datetime | None
    """When the present weight was confirmed; None while it is being reached."""
    start: datetime
    """Where counting begins for a check that has counted nothing yet."""
    now: datetime
    """The instant of this look: the same one for `ask`, `fold` and `judge`."""
    checks: int = 1
    """Checks on shares that are in force: they share the chance of a false alarm."""
    interval: timedelta = timedelta(seconds=15)
    """Time between two looks."""
    warm_period: timedelta = timedelta(0)
    """How long times of answers are not counted after a change of weight or a new pod."""
    scrape_interval: float | None = None
    """Seconds between scrapes, where they are known when the question is asked."""
    place: Place | None = None
    """Where the gateway counts; rule 0 of a route of the same name where left out."""
    vacant: timedelta | None = None
    """How long the candidate's slot had been without traffic when the candidate got it, at the least."""
    rules: int = 1
    """Rules of the route that carry live traffic, from rule 0 on."""
    gateway: bool = True
    """What divides the requests has metrics of its own that tell the arms apart."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The trial cannot begin until a person changes something: `Stalled/NoSeries`."""

    message: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Prometheus did not answer: ask again later."""

    message: str


Presets = Mapping[str, Preset]
"""By name."""


class Kind(Protocol):
    """The functions of a module that implements one kind of check."""

    def handles(self, check: Check) -> bool:
        """Whether this module implements the check."""

    def opening_questions(self, check: Check, situation: Situation, presets: Presets) -> tuple[MetricQuestion, ...]:
        """What has to be known of stable before a trial."""

    def opening(
        self, check: Check, situation: Situation, presets: Presets, answers: Mapping[str, MetricAnswer]
    ) -> CheckStatus | Refusal | Hold:
        """The check as the trial begins with it, or why the trial does not begin."""

    def ask(
        self, check: Check, stored: CheckStatus, situation: Situation, presets: Presets
    ) -> tuple[MetricQuestion, ...]:
        """What to ask at this look."""

    def fold(
        self,
        check: Check,
        stored: CheckStatus,
        situation: Situation,
        presets: Presets,
        answers: Mapping[str, MetricAnswer],
    ) -> CheckStatus:
        """The evidence with this look's answers in it, not judged yet; NoData or Error where they do not serve."""

    def judge(self, check: Check, stored: CheckStatus, situation: Situation) -> CheckStatus:
        """The verdict on the evidence. One that `fold` left at NoData or Error stays as it is."""


def milliseconds(at: datetime) -> datetime:
    """The instant as status keeps it."""
    at = at.astimezone(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def unanswered(stored: CheckStatus, situation: Situation, outcome: Outcome, message: str) -> CheckStatus:
    """The check at a look that could not be used: the evidence stays as it was."""
    return verdict(stored, situation, outcome, message)


def verdict(
    stored: CheckStatus, situation: Situation, outcome: Outcome, message: str, needs: float | None = None
) -> CheckStatus:
    """The check with a verdict; `needs` is how many more of what it counts make the candidate pass, where that is known."""
    whole = None if needs is None or needs > MOST_NEEDED else math.ceil(needs)
    update = {"outcome": outcome, "message": message[:1024], "at": milliseconds(situation.now), "needs": whole}
    return stored.model_copy(update=update)


def pods_pattern(situation: Situation, arm: Arm) -> str:
    """A pattern (RE2) of the names of one revision's pods, those that are gone included."""
    return literal(f"{child_name(situation.name, arm.revision)}-") + ".*"


def nearest(names: Sequence[str]) -> str:
    """The end of a sentence about something missing: which names do exist."""
    return f"; nearest names: {', '.join(names)}" if names else "; no name there is close"
