"""A healthy model is promoted, and nobody who uses it notices."""

from __future__ import annotations

import pytest

from dev.traffic import Request
from tests.cluster.model import PARTS, Model, lost_nothing

V1, V2 = "localhost/demo-model:v1", "localhost/demo-model:v2"


@pytest.mark.together
def test_a_healthy_retrain_is_promoted_step_by_step(screening: Model, rows: list[Request]) -> None:
    """Real MLServer; every answer is compared with the training pipeline's."""
    screening.apply(screening.spec(V1, version="1"))
    first = screening.stable()
    before = screening.pod_lives(first)
    with screening.traffic(rows) as traffic:
        screening.apply(screening.spec(V2, version="2"))
        second = screening.on_step(20)
        assert screening.weights() == {first: PARTS * 80 // 100, second: PARTS * 20 // 100}
        on_trial = screening.pod_lives(second)
        screening.on_step(50)
        on_trial |= screening.pod_lives(second)
        assert screening.pod_lives(first) == before, "stable keeps its size and its pods until acceptance"
        assert screening.stable(60, other_than=first) == second
        promoted = screening.pod_lives(second)
        screening.until("the old revision is gone", lambda s: [r["name"] for r in s["revisions"]] == [second])
        assert screening.pods(first) == []
    report = traffic.report
    lost_nothing(report)
    assert set(report.revisions) == {first, second}
    assert traffic.answers(1) == {second: traffic.answers(1)[second]}
    # Nothing is copied and nothing restarts: the pods that were judged are the pods that serve.
    assert on_trial.items() <= promoted.items()
    assert {restarts for _, restarts in promoted.values()} == {0}
    assert set(screening.weights()) == {second}
    assert screening.status["history"][0]["outcome"] == "Promoted"


@pytest.mark.together
def test_changes_that_start_no_trial(model: Model) -> None:
    """Replicas, checks, steps and the owner's name are no new model; back to stable is no trial either."""
    spec = model.spec(ANSWER=1)
    model.apply(spec)
    first = model.stable()
    with model.traffic() as traffic:
        spec["replicas"] = 3
        spec["model"]["owner"] = "risk-ml@example.com"
        spec["analysis"]["minSamples"] = 60
        spec["strategy"]["stages"][0]["canary"]["steps"] = [{"weight": 10, "minDuration": "5s"}]
        model.apply(spec)
        model.until("three pods", lambda s: s["revisions"][0]["ready"] == 3)
        model.apply({**spec, "replicas": 2})
        model.until("two pods", lambda s: s["revisions"][0]["replicas"] == 2)
        assert model.stable() == first
        assert len(model.status["history"]) == 1
    lost_nothing(traffic.report)


@pytest.mark.together
def test_a_pod_that_leaves_goes_on_answering_until_everyone_has_heard(model: Model) -> None:
    """Its server closes its port at SIGTERM, as MLServer does; the sleep before it is what saves the requests."""
    model.apply(model.spec(ANSWER=1))
    first = model.stable()
    with model.traffic(rate=200) as traffic:
        model.replace_pods(first)
    lost_nothing(traffic.report)


@pytest.mark.together
def test_a_new_revision_in_mid_trial_takes_the_place_of_the_candidate(model: Model) -> None:
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        model.apply(model.spec(GENERATION=2))
        second = model.on_step(20)
        model.apply(model.spec(GENERATION=3))
        third = model.until("another candidate", lambda s: s.get("candidate") not in {None, second})["candidate"]
        assert model.status["stable"] == first
        assert model.stable(75, other_than=first) == third
    lost_nothing(traffic.report)
    outcomes = {entry["revision"]: entry["outcome"] for entry in model.status["history"]}
    assert outcomes == {first: "Promoted", second: "Superseded", third: "Promoted"}


@pytest.mark.together
def test_back_to_stable_in_mid_trial_ends_the_trial_without_another(model: Model) -> None:
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        model.apply(model.spec(GENERATION=2))
        second = model.on_step(20)
        model.apply(model.spec(GENERATION=1))
        assert model.stable() == first
        model.until("the candidate is gone", lambda s: [r["name"] for r in s["revisions"]] == [first])
    lost_nothing(traffic.report)
    assert [entry["revision"] for entry in model.status["history"]] == [second, first]
