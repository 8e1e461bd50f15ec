"""Agreement from what a comparer really exports, as a Prometheus has scraped it, to a verdict."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from seatrial.api.agreement import Agreement
from seatrial.api.mode import AgreementMode
from seatrial.api.spec import Margin
from seatrial.api.status import CheckStatus, Outcome
from seatrial.build.names import comparer_name
from seatrial.compare.meters import Meters
from seatrial.compare.sampling import Dropped
from seatrial.compare.verdict import Finding
from seatrial.core.checks import agreement
from seatrial.core.checks.gathering import gathered
from seatrial.core.compared import ALL, CANDIDATE, ITSELF, Result
from seatrial.core.questions import CounterQuestion, Failure
from tests.checks.builders import CANDIDATE as REVISION
from tests.checks.builders import STABLE, arms, situation
from tests.checks.world import T0
from tests.sim.prometheus import SimPrometheus, Weather

LOOKS = 6
AGREE, DIFFER, UNANSWERED = Finding(Result.AGREE), Finding(Result.DIFFER), Finding(Result.UNANSWERED)


@dataclass(frozen=True)
class Asked:
    """A check of agreement."""

    name: str = "same"
    agreement: Agreement | None = field(default_factory=Agreement)
    margin: Margin | None = None


@dataclass
class Shadow:
    """A comparer at work, its Prometheus, and a check that looks every fifteen seconds."""

    check: Asked = field(default_factory=Asked)
    revision: str = REVISION
    meters: Meters = field(default_factory=Meters)
    prometheus: SimPrometheus = field(default_factory=SimPrometheus)
    stored: CheckStatus = field(default_factory=lambda: CheckStatus(name="same", through=T0))
    seconds: float = 0.0
    pod: str = "5d8f9"
    scraped: bool = True

    def compared(self, count: int, candidate: Finding, itself: Finding = AGREE, output: str = "predict") -> None:
        for _ in range(count):
            self.meters.found(CANDIDATE, {output: candidate, ALL: candidate})
            self.meters.found(ITSELF, {output: itself, ALL: itself})

    def restart(self) -> None:
        """Another pod in its place, which counts from nothing."""
        self.meters, self.pod = Meters(), f"{self.pod}x"

    def wait(self, seconds: float) -> None:
        """Let time pass with a scrape every five seconds."""
        for _ in range(int(seconds / 5)):
            self.seconds += 5
            if self.scraped:
                self.prometheus.scrape(T0 + timedelta(seconds=self.seconds), self._samples())

    def look(self, **where: Any) -> CheckStatus:
        self.seconds += 1  # a look is never at the very instant of a scrape
        here = situation(T0 + timedelta(seconds=self.seconds), weight=0.0, **where)
        answers, _ = self.prometheus.answer(agreement.ask(self.check, self.stored, here, {}))
        folded = agreement.fold(self.check, self.stored, here, {}, answers)
        self.stored = agreement.judge(self.check, folded, here)
        return self.stored

    def _samples(self) -> dict[tuple[tuple[str, str], ...], float]:
        pod = f"{comparer_name('fraud', self.revision)}-{self.pod}"
        own = {"namespace": "payments", "pod": pod, "instance": f"{pod}:8081", "job": "pods"}
        return {
            tuple(sorted({**sample.labels, **own, "__name__": sample.name}.items())): sample.value
            for metric in self.meters.registry.collect()
            for sample in metric.samples
        }


def after(*compared: tuple[int, Finding, Finding], check: Asked | None = None) -> CheckStatus:
    """The verdict on so many comparisons, spread over `LOOKS` looks."""
    shadow = Shadow(check or Asked())
    shadow.wait(10)
    for _ in range(LOOKS):
        for count, candidate, itself in compared:
            shadow.compared(count // LOOKS, candidate, itself)
        shadow.wait(15)
        shadow.look()
    return shadow.stored


def test_it_passes_on_enough_comparisons_and_says_how_many_are_missing() -> None:
    shadow = Shadow()
    shadow.wait(10)
    shadow.compared(100, AGREE)
    shadow.wait(20)
    said = shadow.look()
    assert (said.outcome, said.trial) == (Outcome.INCONCLUSIVE, arms((0, 100), (0, 100)))
    assert said.message == (
        "same: answers that differ 0.00% vs 0.00% (0 of 100 vs 0 of 100): "
        "needs about 1,000 more requests, 5m10s at today's rate"
    )
    for _ in range(4):
        shadow.compared(300, AGREE)
        shadow.wait(20)
        said = shadow.look()
    assert said.outcome is Outcome.PASS
    assert said.trial == arms((0, 1300), (0, 1300))


def test_a_candidate_that_differs_fails() -> None:
    said = after((900, AGREE, AGREE), (102, DIFFER, AGREE))
    assert said.outcome is Outcome.FAIL
    assert said.message == (
        "same: answers that differ 10.18% vs 0.00% (102 of 1,002 vs 0 of 1,002) at this weight, more than 1.00 points worse "
        "(chance below 1 in a million): fail"
    )


def test_what_stable_itself_varies_by_is_not_held_against_the_candidate() -> None:
    """The very numbers that fail above, beside a stable that is not of one mind either."""
    said = after((21600, AGREE, AGREE), (1200, DIFFER, AGREE), (1200, AGREE, DIFFER))
    assert said.trial == arms((1200, 24000), (1200, 24000))
    assert said.outcome is Outcome.PASS


def test_an_answer_that_does_not_come_differs_on_either_side() -> None:
    assert after((900, AGREE, AGREE), (102, UNANSWERED, AGREE)).outcome is Outcome.FAIL
    said = after((900, AGREE, AGREE), (102, AGREE, UNANSWERED))
    assert said.trial == arms((0, 1002), (102, 1002))


def test_a_stable_that_hardly_agrees_with_itself_lets_nothing_pass() -> None:
    """It differs from everything, and so does any candidate, however wrong."""
    said = after((90_000, DIFFER, DIFFER), (10_002, AGREE, AGREE))
    assert said.outcome is Outcome.INCONCLUSIVE
    assert said.message.startswith(
        "stable's own answers to one request differ in 90% of 100,002, and above 20% agreement"
    )


@pytest.mark.parametrize(
    ("margin", "outcome"), [("20", Outcome.PASS), ("8", Outcome.INCONCLUSIVE), ("2", Outcome.FAIL)]
)
def test_the_margin_decides(margin: str, outcome: Outcome) -> None:
    check = Asked(margin=Margin(points=Decimal(margin)))
    assert after((900, AGREE, AGREE), (102, DIFFER, AGREE), check=check).outcome is outcome


def test_one_output_is_judged_by_itself() -> None:
    shadow = Shadow(Asked(agreement=Agreement(output="label", mode=AgreementMode.CLASS)))
    shadow.wait(10)
    for _ in range(LOOKS):
        for _ in range(300):
            shadow.meters.found(CANDIDATE, {"label": AGREE, "score": DIFFER, ALL: DIFFER})
            shadow.meters.found(ITSELF, {"label": AGREE, "score": AGREE, ALL: AGREE})
        shadow.wait(20)
        shadow.look()
    said = shadow.stored
    assert (said.outcome, said.trial) == (Outcome.PASS, arms((0, 1800), (0, 1800)))
    assert said.message.startswith("same: answers that differ in label 0.00%")
    whole = Shadow(meters=shadow.meters, prometheus=shadow.prometheus, seconds=shadow.seconds)
    assert whole.look().outcome is Outcome.FAIL


def test_nothing_passes_before_the_stage_has_settled() -> None:
    shadow = Shadow()
    shadow.wait(10)
    for _ in range(LOOKS):
        shadow.compared(500, AGREE)
        shadow.wait(20)
        shadow.look(settled=False)
    said = shadow.stored
    assert said.outcome is Outcome.INCONCLUSIVE
    assert "two scrapes" in said.message


# --- what is missing --------------------------------------------------------------------------------------------------


def test_where_nothing_is_compared_it_says_why() -> None:
    shadow = Shadow()
    shadow.wait(15)
    assert shadow.look().message.endswith("; since the last look no copy of a live request reached the comparer")
    for _ in range(37):
        shadow.meters.dropped(Dropped.UNCOMPARABLE)
    for _ in range(3):
        shadow.meters.dropped(Dropped.NO_REFERENCE)
    shadow.wait(15)
    said = shadow.look()
    assert said.outcome is Outcome.INCONCLUSIVE
    assert said.message.endswith("no request could be compared (37 uncomparable, 3 no_reference)")


def test_without_a_comparer_there_is_no_data() -> None:
    said = Shadow(scraped=False).look()
    assert (said.outcome, said.message) == (Outcome.NO_DATA, "Prometheus has no samples of the comparer yet")


def test_a_comparer_that_is_scraped_no_more_lets_nothing_pass() -> None:
    shadow = Shadow()
    shadow.wait(10)
    for _ in range(LOOKS):
        shadow.compared(500, AGREE)
        shadow.wait(20)
        shadow.look()
    assert shadow.stored.outcome is Outcome.PASS
    shadow.scraped = False
    shadow.wait(30)
    said = shadow.look()
    assert said.outcome is Outcome.NO_DATA
    assert said.message == "the comparer was last scraped 32 s ago: nothing newer can be judged"
    assert said.trial == arms((0, 3000), (0, 3000)), "what was seen stays"


def test_prometheus_down_is_an_error_and_loses_nothing() -> None:
    shadow = Shadow()
    shadow.wait(10)
    shadow.compared(100, AGREE)
    shadow.wait(20)
    shadow.look()
    shadow.prometheus.weather = Weather.DOWN
    shadow.compared(100, AGREE)
    shadow.wait(15)
    assert shadow.look().outcome is Outcome.ERROR
    shadow.prometheus.weather = Weather.FINE
    shadow.compared(100, AGREE)
    shadow.wait(15)
    assert shadow.look().trial == arms((0, 300), (0, 300))


def test_a_comparer_that_is_killed_costs_at_most_what_was_not_scraped() -> None:
    shadow = Shadow()
    shadow.wait(10)
    shadow.compared(100, AGREE)
    shadow.wait(15)
    shadow.look()
    shadow.compared(7, AGREE)  # never scraped
    shadow.restart()
    shadow.wait(5)
    shadow.compared(50, DIFFER)
    shadow.wait(10)
    said = shadow.look()
    assert said.trial == arms((50, 150), (0, 150))


def test_the_first_difference_of_an_output_is_counted_although_its_series_is_new() -> None:
    """The comparer started after the trial began, so no scrape shows that nothing had been counted by then."""
    shadow = Shadow(Asked(agreement=Agreement(output="predict")))
    shadow.wait(10)
    shadow.compared(99, AGREE)
    shadow.wait(10)
    shadow.compared(1, DIFFER)
    shadow.wait(5)
    assert shadow.look().trial == arms((1, 100), (0, 100))


def test_counts_of_another_candidate_or_of_models_are_not_read() -> None:
    shadow = Shadow()
    other = Shadow(revision="0123456789", prometheus=SimPrometheus(series=shadow.prometheus.series))
    for one in (shadow, other):
        one.wait(10)
    other.compared(100, DIFFER)
    shadow.compared(10, AGREE)
    for one in (shadow, other):
        one.wait(20)
    assert shadow.look().trial == arms((0, 10), (0, 10))


def test_it_asks_for_the_pods_of_its_comparer_by_exact_name() -> None:
    asked = agreement.ask(Asked(), CheckStatus(name="same", through=T0), situation(), {})
    candidate, itself = asked
    assert isinstance(candidate, CounterQuestion)
    assert isinstance(itself, CounterQuestion)
    assert candidate.selector == (
        '{__name__=~"seatrial_compare_answers_total|seatrial_compare_dropped_total|seatrial_compare_queue_length",'
        f'namespace="payments",pod=~"compare-{REVISION}-fraud-.*",pair=~"|candidate",output=~"|\\\\*"}}'
    )
    assert 'pair=~"|stable-itself"' in itself.selector
    assert STABLE not in candidate.selector + itself.selector


def test_an_unusable_answer_leaves_the_evidence_alone() -> None:
    before = CheckStatus(name="same", through=T0, trial=arms((1, 10), (0, 10)))
    folded = agreement.fold(Asked(), before, situation(), {}, {"same/candidate": Failure("down")})
    assert (folded.outcome, folded.trial, folded.through) == (Outcome.ERROR, before.trial, before.through)


def test_identical_models_are_hardly_ever_failed_and_soon_accepted() -> None:
    """Two looks a minute for ten minutes at two comparisons a second, answers that differ by chance in 0 to 10 %."""
    draw = random.Random(11)
    failed, accepted = 0, 0
    for trial in range(120):
        noise = (0.0, 0.01, 0.1)[trial % 3]
        check = Asked(margin=Margin(points=Decimal(3)))
        stored = CheckStatus(name="same", through=T0)
        for number in range(1, 21):
            seen = situation(T0 + timedelta(seconds=30 * number), weight=0.0)
            new = arms(
                (sum(draw.random() < noise for _ in range(60)), 60), (sum(draw.random() < noise for _ in range(60)), 60)
            )
            stored = agreement.judge(
                check, gathered(stored, agreement.as_halves(seen), new, agreement.terms_of(check)), seen
            )
            failed += stored.outcome is Outcome.FAIL
        accepted += stored.outcome is Outcome.PASS
    assert failed <= 1
    assert accepted >= 80, "all but some of the noisiest"
