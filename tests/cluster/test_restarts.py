"""The operator dies, or becomes another version: nothing is lost, repeated or skipped."""

from __future__ import annotations

import time

from tests.cluster.installed import Operator
from tests.cluster.model import PARTS, Model, lost_nothing


def test_the_operator_is_killed_in_mid_step(model: Model, operator: Operator) -> None:
    """Its lease has to run out first. Meanwhile everything serves as it is; after, the step's own clock decides."""
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    with model.traffic() as traffic:
        model.apply(model.spec(GENERATION=2, steps=[(20, "8s"), (50, "5s")]))
        second = model.on_step(20)
        confirmed = model.status["rollout"]["confirmedAt"]
        operator.kill()
        time.sleep(3)
        assert model.weights() == {first: PARTS * 80 // 100, second: PARTS * 20 // 100}
        operator.wait_leading()
        status = model.status
        if status.get("weight") == "20":
            assert status["rollout"]["confirmedAt"] == confirmed, "the step's clock neither starts again nor jumps"
        assert model.stable(90, other_than=first) == second
    lost_nothing(traffic.report)
    reached = [message for reason, message in model.events() if reason == "StepReached"]
    assert len(reached) == 2, f"no step was taken twice: {reached}"


def test_the_operator_is_upgraded_in_mid_step(model: Model, operator: Operator) -> None:
    """Every builder's output changed, and yet no pod template does, neither the candidate's nor one at rest."""
    model.apply(model.spec(GENERATION=1))
    first = model.stable()
    at_rest = Model(model.api, model.gateway, model.namespace, name="rest")
    spec = at_rest.spec(GENERATION=1)
    at_rest.apply({**spec, "traffic": {"hostnames": [f"rest.{model.host}"]}})
    resting = at_rest.stable()
    with model.traffic() as traffic:
        model.apply(model.spec(GENERATION=2))
        second = model.on_step(20)
        model.ask("pause")
        model.until("the pause", lambda s: s.get("paused"))
        before = generations(model, first, second) | generations(at_rest, resting)
        pods = model.pod_lives(first) | model.pod_lives(second) | at_rest.pod_lives(resting)
        operator.upgrade(operator.next_version())
        try:
            time.sleep(5)
            assert generations(model, first, second) | generations(at_rest, resting) == before
            assert model.pod_lives(first) | model.pod_lives(second) | at_rest.pod_lives(resting) == pods
            assert model.weights() == {first: PARTS * 80 // 100, second: PARTS * 20 // 100}
            model.ask("resume")
            assert model.stable(75, other_than=first) == second
            template = model.deployment(second)["spec"]["template"]
            assert "example.com/builder" not in template["metadata"]["annotations"]
            assert pods.items() >= {k: v for k, v in model.pod_lives(second).items() if k in pods}.items()
            # What is born from now on is the new version's.
            model.apply(model.spec(GENERATION=3))
            third = model.until("a new revision's pods", lambda s: s.get("candidate") not in {None, second})[
                "candidate"
            ]
            model.until("its Deployment", lambda _: model.api.find("Deployment", model.namespace, f"m-{third}"))
            born = model.deployment(third)["spec"]["template"]["metadata"]["annotations"]
            assert born["example.com/builder"] == "next"
        finally:
            operator.upgrade(operator.present)
    lost_nothing(traffic.report)


def generations(model: Model, *revisions: str) -> dict[str, int]:
    """A Deployment's generation grows with every change of its spec, even one that is taken back."""
    return {f"{model.name}-{revision}": model.deployment(revision)["metadata"]["generation"] for revision in revisions}
