"""No field is accepted and ignored: for each field of the resource, only that field changes, and what
the operator does changes with it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from seatrial.api.crd import field_paths
from seatrial.api.lint import lint
from seatrial.api.status import Phase
from seatrial.build.names import child_name, is_comparer
from seatrial.build.rule import is_taken
from seatrial.core import snapshot
from seatrial.core.plan import ask
from seatrial.core.questions import CounterQuestion, Questions
from seatrial.core.snapshot import Snapshot
from seatrial.core.state import Manifest, Ref
from tests.core.test_house import policy
from tests.sim.training import USUAL as SNAPSHOT
from tests.sim.world import NAME, Behaviour, World, base_spec, settled

Spec = dict[str, Any]
Change = Callable[[Spec], None]
Look = Callable[[Spec], object]

EFFECTS: dict[str, tuple[Change, Look]] = {}
"""By field: what changes it, and where the difference shows."""


def effect(path: str, change: Change, look: Look) -> None:
    assert path not in EFFECTS, path
    EFFECTS[path] = (change, look)


# --- where differences show ---------------------------------------------------------------------------


def serving(spec: Spec, *, stable: Behaviour | None = None) -> World:
    world = World(spec=copy.deepcopy(spec))
    world.behaviours["fraud:v1"] = stable or Behaviour()
    assert world.run(90, until=settled), world.status.message
    world.run(30)
    return world


def found(kind: str) -> Look:
    """The objects of a kind once the first revision serves."""

    def look(spec: Spec) -> object:
        world = serving(spec)
        stable = str(world.status.stable)
        objects = [m for ref, m in world.objects.items() if ref.kind == kind]
        return [str(m["spec"]).replace(stable, "REV") for m in objects]

    return look


def pod_template(spec: Spec) -> Manifest:
    world = serving(spec)
    name = child_name(NAME, str(world.status.stable))
    template: Manifest = world.objects[Ref("Deployment", name)]["spec"]["template"]
    return template


def container(spec: Spec) -> object:
    return pod_template(spec)["spec"]["containers"][0]


def revision(spec: Spec) -> object:
    return World(spec=copy.deepcopy(spec)).wanted


def preflight_question(spec: Spec) -> object:
    world = World(spec=copy.deepcopy(spec))
    asked: list[Questions] = []

    def remember(w: World, _: object) -> None:
        asked.append(ask(w.observe(), w.now, w.installation))

    world.watchers.append(remember)
    world.run(30)
    question = next(q.preflight for q in asked if q.preflight is not None)
    return (question.config_map, question.tolerance, question.timeout)


def trial(
    behaviour: Behaviour | None = None, *, seconds: int = 600, stable: Behaviour | None = None
) -> Callable[[Callable[[World], object]], Look]:
    """A trial of a second image; `read` says what is looked at in the end."""

    def with_reading(read: Callable[[World], object]) -> Look:
        def look(spec: Spec) -> object:
            world = serving(spec, stable=stable)
            world.image("fraud:v2", behaviour or Behaviour())
            world.run(seconds)
            return read(world)

        return look

    return with_reading


def next_drill(spec: Spec) -> object:
    status = serving(spec).status
    return status.drill and status.drill.next


def took(world: World) -> object:
    """When the trial ended."""
    return [entry.ended for entry in world.status.history]


def verdicts(world: World) -> object:
    return [(check.name, check.outcome, check.message) for check in world.status.checks]


def phase(world: World) -> Phase:
    return world.status.phase


def history(world: World) -> object:
    return [(entry.message, entry.training_data) for entry in world.status.history]


def waited_at(world: World) -> object:
    return (world.status.weight, world.status.message)


def phase_and_pause(world: World) -> object:
    return (world.status.phase, world.status.paused is not None)


def pods(world: World) -> object:
    return sorted((r.role, r.replicas) for r in world.status.revisions)


def comparer(world: World) -> object:
    """How answers are compared."""
    found = [m for ref, m in world.objects.items() if ref.kind == "Deployment" and is_comparer(NAME, ref.name)]
    return [m["spec"]["template"]["spec"]["containers"][0]["args"] for m in found]


def copies(world: World) -> object:
    return world.status.traffic.mirror


def weights(world: World) -> object:
    return world.status.traffic.wanted


def rules(world: World) -> object:
    """Who is answered where, and what the answers say."""
    return world.objects[Ref("HTTPRoute", NAME)]["spec"]["rules"]


def third_revision(spec: Spec) -> object:
    """Who serves after a third image came in the second one's probation."""
    world = serving(spec)
    world.image("fraud:v2")
    world.run(500)
    world.image("fraud:v3")
    world.run(60)
    return world.status.candidate


def selectors(world: World) -> object:
    """What Prometheus is asked at a look."""
    world.run(15)
    seen: list[str] = []

    def listen(w: World, _: object) -> None:
        for question in ask(w.observe(), w.now, w.installation).metrics:
            seen.append(getattr(question, "selector", getattr(question, "query", "")))

    world.watchers.append(listen)
    world.run(40)
    return sorted(set(seen))


def refused(spec: Spec) -> object:
    manifest = {
        "apiVersion": "seatrial.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": NAME, "namespace": "models"},
        "spec": copy.deepcopy(spec),
    }
    return [finding.message for finding in lint(manifest)]


def in_a_house(spec: Spec) -> object:
    """The steps and the checks of a trial where a policy holds."""
    world = World(spec=copy.deepcopy(spec))
    library = policy(checks=[{"name": "blocked", **SHARE}], strategies=[{"name": "quick", "stages": [_SOON]}])
    world.rules("a library of checks and strategies", library)
    assert world.run(90, until=settled), world.status.message
    world.image("fraud:v2")
    world.run(30)
    assert world.status.rollout is not None
    return world.status.rollout.steps, [check.name for check in world.status.checks]


def reference(world: World) -> object:
    """What is said of the release that others are held against."""
    return world.status.quality and world.status.quality.note


def watched(spec: Spec) -> object:
    """What is said of live predictions beside their snapshot, when, and when the next look is."""
    world = World(spec=copy.deepcopy(spec), rate=20.0)
    world.behaviours["fraud:v1"] = Behaviour(scores=1.0)
    world.config_maps |= {one["metadata"]["name"]: one for one in (SNAPSHOT, DECISIONS)}
    assert world.run(90, until=settled), world.status.message
    world.run(140)
    at = world.wake_at
    assert at is not None
    return [(one.name, one.snapshot, one.state, one.message) for one in world.status.live], at.replace(microsecond=0)


def asked_of_live(spec: Spec) -> object:
    """What Prometheus is asked of live predictions."""
    world = World(spec=copy.deepcopy(spec))
    asked: set[str] = set()

    def listen(w: World, _: object) -> None:
        asked.update(
            q.selector for q in ask(w.observe(), w.now, w.installation).metrics if isinstance(q, CounterQuestion)
        )

    world.watchers.append(listen)
    world.run(90)
    return sorted(
        selector for selector in asked if "model_revision" in selector or "_score" in selector or "decis" in selector
    )


def writes_after_an_edit(spec: Spec) -> object:
    world = World(spec=copy.deepcopy(spec))
    world.run(60)
    return len(world.objects)


# --- changes ------------------------------------------------------------------------------------------


def at(path: str, value: object) -> Change:
    """Set a field; a number in the path is a list index."""

    def change(spec: Spec) -> None:
        *parents, last = path.split(".")
        where: Any = spec
        for part in parents:
            where = where[int(part)] if part.isdigit() else where.setdefault(part, {})
        where[last] = value

    return change


CHECK = "analysis.checks.0"


def with_check(**check: Any) -> Spec:
    spec = base_spec()
    spec["analysis"]["checks"] = [{"name": "c", **check}]
    return spec


DECISIONS = snapshot.build(
    "fraud", None, Snapshot(metric="decisions_total", by="decision", classes=("block", "pass"), counts=(2_000, 8_000))
)
SHARE = {"share": {"of": 'decisions_total{decision="block"}', "per": "decisions_total"}, "margin": {"points": "2"}}
MEAN = {
    "mean": {"of": "shop_revenue_total", "per": "shop_orders_total", "revisionLabel": "model_revision"},
    "worseWhen": "Lower",
    "margin": {"relative": "50%"},
    "minSamples": 100,
    "minDuration": "1m",
}
QUERY = {"query": "sum(score{$selector})", "max": "5"}

effect("spec.replicas", at("replicas", 3), lambda s: len(serving(s).pods))
effect("spec.suspend", at("suspend", True), writes_after_an_edit)
effect("spec.model.name", at("model.name", "other"), container)
effect("spec.model.version", at("model.version", "2026-11-20"), revision)
effect("spec.model.owner", at("model.owner", "ann"), trial(Behaviour(errors=1.0))(history))
effect("spec.model.trainingData", at("model.trainingData", "s3://lake@7"), trial(seconds=400)(history))
effect("spec.runtime", at("runtime", "Custom"), container)
effect("spec.port", at("port", 9000), found("Service"))
effect("spec.template.metadata.labels", at("template.metadata.labels", {"team": "x"}), pod_template)
effect("spec.template.metadata.annotations", at("template.metadata.annotations", {"a": "b"}), pod_template)
effect("spec.template.spec.containers[].name", at("template.spec.containers.0.name", "server"), container)
effect("spec.template.spec.containers[].image", at("template.spec.containers.0.image", "fraud:v9"), container)
effect(
    "spec.template.spec.containers[].ports[].containerPort",
    at("template.spec.containers.0.ports", [{"containerPort": 7000}]),
    container,
)
effect(
    "spec.template.spec.containers[].ports[].name",
    at("template.spec.containers.0.ports", [{"containerPort": 8080, "name": "grpc"}]),
    container,
)
effect("spec.template.spec.restartPolicy", at("template.spec.restartPolicy", "Never"), refused)
effect("spec.traffic.hostnames", at("traffic.hostnames", ["other.example.com"]), found("HTTPRoute"))


def team_rule(spec: Spec) -> object:
    """Which of two rules of a team's route leads to the model, or why none does."""
    world = World(spec=copy.deepcopy(spec), team=True)
    world.run(60)
    rules = world.objects[world.route]["spec"]["rules"]
    return [rule["name"] for rule in rules if is_taken(NAME, rule)], world.status.message


effect("spec.traffic.routeRef.name", at("traffic.routeRef.name", "other"), team_rule)
effect("spec.traffic.routeRef.rule", at("traffic.routeRef.rule", "api"), team_rule)
PARENT = [{"name": "edge", "namespace": "gateways"}]
effect(
    "spec.traffic.gatewayAPI.parentRefs[].name",
    at("traffic.gatewayAPI.parentRefs", [{"name": "inner", "namespace": "gateways"}]),
    found("HTTPRoute"),
)
effect(
    "spec.traffic.gatewayAPI.parentRefs[].namespace",
    at("traffic.gatewayAPI.parentRefs", [{"name": "edge", "namespace": "edges"}]),
    found("HTTPRoute"),
)
effect(
    "spec.traffic.gatewayAPI.parentRefs[].sectionName",
    at("traffic.gatewayAPI.parentRefs", [{**PARENT[0], "sectionName": "http"}]),
    found("HTTPRoute"),
)
effect("spec.traffic.replicaRatio", at("traffic", {"replicaRatio": {}, "drain": "30s"}), found("HTTPRoute"))
effect("spec.traffic.drain", at("traffic.drain", "90s"), trial(seconds=500)(took))
effect(
    "spec.preflight.requests.configMapRef.name",
    at("preflight.requests.configMapRef.name", "other"),
    preflight_question,
)
effect("spec.preflight.requests.tolerance", at("preflight.requests.tolerance", "0.5"), preflight_question)
effect("spec.preflight.timeout", at("preflight.timeout", "5s"), preflight_question)
STEP = "strategy.stages.0.canary.steps"
effect("spec.strategy.stages[].canary.steps[].weight", at(f"{STEP}.0.weight", 8), trial(seconds=40)(waited_at))
effect("spec.strategy.stages[].canary.steps[].minDuration", at(f"{STEP}.0.minDuration", "3m"), trial()(took))
effect(
    "spec.strategy.stages[].canary.steps[].approval.when",
    at(f"{STEP}.1.approval.when", "ToEnter"),
    trial(seconds=400)(waited_at),
)
effect(
    "spec.strategy.stages[].canary.steps[].maxDuration", at(f"{STEP}.0.maxDuration", "90s"), trial()(phase_and_pause)
)
effect("spec.strategy.stages[].canary.scale", at("strategy.stages.0.canary.scale", "Full"), trial(seconds=40)(pods))
effect(
    "spec.strategy.stages[].canary.capacity",
    at("strategy.stages.0.canary.capacity", "Shared"),
    trial(seconds=150)(pods),
)
SHADOW = "strategy.stages.0.shadow"
effect("spec.strategy.stages[].shadow.percent", at(f"{SHADOW}.percent", 50), trial(seconds=40)(copies))
effect("spec.strategy.stages[].shadow.minDuration", at(f"{SHADOW}.minDuration", "6m"), trial()(took))
effect("spec.strategy.stages[].shadow.maxDuration", at(f"{SHADOW}.maxDuration", "90s"), trial()(phase_and_pause))
effect("spec.strategy.stages[].shadow.scale", at(f"{SHADOW}.scale", "3"), trial(seconds=40)(pods))
effect(
    "spec.strategy.stages[].shadow.approval.when",
    at(f"{SHADOW}.approval.when", "ToLeave"),
    trial(seconds=400)(waited_at),
)
PREVIEW = "strategy.stages.1.blueGreen"
effect("spec.strategy.stages[].blueGreen.minDuration", at(f"{PREVIEW}.minDuration", "4m"), trial()(took))
effect("spec.strategy.stages[].blueGreen.maxDuration", at(f"{PREVIEW}.maxDuration", "30s"), refused)
effect(
    "spec.strategy.stages[].blueGreen.approval.when",
    at(f"{PREVIEW}.approval.when", "ToLeave"),
    trial(seconds=400)(waited_at),
)
effect(
    "spec.strategy.stages[].canary.steps[].approval.notAuthor",
    at(f"{STEP}.1.approval.notAuthor", True),
    trial(seconds=60)(waited_at),
)
effect(
    "spec.strategy.stages[].shadow.approval.notAuthor",
    at(f"{SHADOW}.approval.notAuthor", True),
    trial(seconds=60)(waited_at),
)
effect(
    "spec.strategy.stages[].blueGreen.approval.notAuthor",
    at(f"{PREVIEW}.approval.notAuthor", True),
    trial(seconds=60)(waited_at),
)
effect("spec.analysis.reference", at("analysis.reference", "7c9f1b20de"), trial(seconds=400)(reference))
effect("spec.strategyFrom", at("strategyFrom", "quick"), in_a_house)
effect("spec.analysis.use", at("analysis.use", ["blocked"]), in_a_house)
effect("spec.strategy.onUndecided", at("strategy.onUndecided", "Rollback"), trial()(phase_and_pause))
PROBATION = "strategy.probation"
effect("spec.strategy.probation.duration", at(f"{PROBATION}.duration", "20m"), trial(seconds=500)(phase))
effect("spec.strategy.probation.keep", at(f"{PROBATION}.keep", "Full"), trial(seconds=500)(pods))
effect("spec.strategy.probation.holdback", at(f"{PROBATION}.holdback", 20), trial(seconds=500)(weights))
effect("spec.strategy.probation.onNewRevision", at(f"{PROBATION}.onNewRevision", "Wait"), third_revision)
WINDOW = "strategy.windows.0"
for name, changed in (("days", ["Tue"]), ("from", "08:00"), ("to", "09:01"), ("timeZone", "Asia/Tokyo")):
    effect(f"spec.strategy.windows[].{name}", at(f"{WINDOW}.{name}", changed), trial(seconds=300)(waited_at))
effect("spec.strategy.drill.every", at("strategy.drill.every", "2h"), next_drill)
effect("spec.traffic.preview.header", at("traffic.preview.header", "x-other"), found("HTTPRoute"))
STICKY = "traffic.stickiness"
effect("spec.traffic.stickiness.cookie.name", at(f"{STICKY}.cookie.name", "who"), trial(seconds=60)(rules))
effect("spec.traffic.stickiness.cookie.maxAge", at(f"{STICKY}.cookie.maxAge", "1h"), trial(seconds=60)(rules))
effect("spec.traffic.stickiness.header.name", at(f"{STICKY}.header.name", "x-who"), trial(seconds=60)(rules))
effect("spec.analysis.interval", at("analysis.interval", "60s"), trial(Behaviour(errors=0.3))(took))
effect("spec.analysis.minSamples", at("analysis.minSamples", 1_000_000), trial()(phase))
effect("spec.analysis.warmPeriod", at("analysis.warmPeriod", "5m"), trial(Behaviour(slow=0.5), seconds=120)(phase))
effect("spec.analysis.none", at("analysis.none", "nobody calls it"), trial(seconds=60)(selectors))
effect("spec.analysis.checks[].name", at(f"{CHECK}.name", "other"), trial(seconds=60)(verdicts))
effect("spec.analysis.checks[].preset", at(f"{CHECK}.preset", "Latency"), trial(seconds=60)(verdicts))
effect("spec.analysis.checks[].from", at(f"{CHECK}.from", "Runtime"), trial(seconds=60)(phase))
effect(
    "spec.analysis.checks[].margin.points",
    at(f"{CHECK}.margin.points", "90"),
    trial(Behaviour(errors=0.3))(phase),
)
effect(
    "spec.analysis.checks[].margin.relative",
    at(f"{CHECK}.margin.relative", "10%"),
    trial(Behaviour(errors=0.08), stable=Behaviour(errors=0.04))(phase),
)
effect("spec.analysis.checks[].slowerThan", at(f"{CHECK}.slowerThan", "1s"), trial(Behaviour(slow=0.5))(phase))
effect("spec.analysis.checks[].query", at(f"{CHECK}.query", "sum(other{$selector})"), trial(seconds=60)(selectors))
effect("spec.analysis.checks[].min", at(f"{CHECK}.min", "2"), trial(seconds=60)(phase))
effect("spec.analysis.checks[].max", at(f"{CHECK}.max", "0.5"), trial(seconds=60)(phase))
for name, other in (("of", "other_total"), ("per", "other_total"), ("revisionLabel", "revision")):
    effect(f"spec.analysis.checks[].share.{name}", at(f"{CHECK}.share.{name}", other), trial(seconds=60)(selectors))
for name, other in (("of", "other_total"), ("per", "other_total"), ("revisionLabel", "revision")):
    effect(f"spec.analysis.checks[].mean.{name}", at(f"{CHECK}.mean.{name}", other), trial(seconds=60)(selectors))
effect("spec.analysis.checks[].minSamples", at(f"{CHECK}.minSamples", 100_000), trial(seconds=200)(verdicts))
effect("spec.analysis.checks[].minDuration", at(f"{CHECK}.minDuration", "30m"), trial(seconds=200)(verdicts))
effect("spec.analysis.checks[].worseWhen", at(f"{CHECK}.worseWhen", "Lower"), trial(Behaviour(blocks=0.1))(phase))
LIVE = "analysis.live.0"
effect("spec.analysis.live[].name", at(f"{LIVE}.name", "other"), watched)
effect("spec.analysis.live[].snapshot.name", at(f"{LIVE}.snapshot.name", "other"), watched)
effect("spec.analysis.live[].window", at(f"{LIVE}.window", "6h"), watched)
effect("spec.analysis.live[].every", at(f"{LIVE}.every", "1h"), watched)
effect("spec.analysis.live[].drift.histogram", at(f"{LIVE}.drift.histogram", "other_score"), asked_of_live)
effect("spec.analysis.live[].drift.classes", at(f"{LIVE}.drift.classes", "other_decisions"), asked_of_live)
effect("spec.analysis.live[].drift.by", at(f"{LIVE}.drift.by", "pod"), watched)
effect("spec.analysis.live[].drift.statistic", at(f"{LIVE}.drift.statistic", "JS"), watched)
effect("spec.analysis.live[].drift.max", at(f"{LIVE}.drift.max", "9"), watched)
effect("spec.analysis.live[].drift.revisionLabel", at(f"{LIVE}.drift.revisionLabel", "model_revision"), asked_of_live)
DRIFT = f"{CHECK}.drift"
for name, other in (("histogram", "other_score"), ("classes", "other_total"), ("revisionLabel", "revision")):
    effect(f"spec.analysis.checks[].drift.{name}", at(f"{DRIFT}.{name}", other), trial(seconds=60)(selectors))
effect("spec.analysis.checks[].drift.by", at(f"{DRIFT}.by", "pod"), trial(Behaviour(blocks=0.6))(verdicts))
effect("spec.analysis.checks[].drift.statistic", at(f"{DRIFT}.statistic", "JS"), trial(Behaviour(blocks=0.6))(verdicts))
effect("spec.analysis.checks[].drift.max", at(f"{DRIFT}.max", "9"), trial(Behaviour(scores=2.0))(phase_and_pause))
for name, value in (("output", "predict"), ("mode", "Class"), ("tolerance", "0.5"), ("topK", 3)):
    effect(
        f"spec.analysis.checks[].agreement.{name}", at(f"{CHECK}.agreement.{name}", value), trial(seconds=20)(comparer)
    )
effect("spec.analysis.checks[].onFail", at(f"{CHECK}.onFail", "Pause"), trial(Behaviour(errors=0.5))(phase))
effect("spec.progressDeadline", at("progressDeadline", "4m"), trial(Behaviour(start=1e6))(took))
effect(
    "spec.capacityDeadline",
    at("capacityDeadline", "5m"),
    trial(Behaviour(unschedulable="0/1 nodes are available: 1 Insufficient example.com/gpu."))(took),
)

CRITICAL = {"preset": "Errors"}
_SCORES, _CLASSES = {"histogram": "model_score"}, {"classes": "decisions_total", "by": "decision"}
_WATCHED = {"name": "scores", "drift": _SCORES, "snapshot": {"name": SNAPSHOT["metadata"]["name"]}}


def with_live(**live: Any) -> Spec:
    spec = base_spec()
    spec["analysis"]["live"] = [{**_WATCHED, "window": "10m", "every": "1m", **live}]
    return spec


STARTS: dict[str, Spec] = {
    "spec.analysis.live[].drift.classes": with_live(drift=_CLASSES),
    "spec.analysis.live[].drift.by": with_live(drift=_CLASSES, snapshot={"name": DECISIONS["metadata"]["name"]}),
    **{
        f"spec.analysis.live[].{name}": with_live()
        for name in (
            "name",
            "snapshot.name",
            "window",
            "every",
            *(f"drift.{one}" for one in ("histogram", "statistic", "max", "revisionLabel")),
        )
    },
    "spec.runtime": base_spec(port=8080),
    "spec.template.spec.containers[].ports[].name": base_spec(port=8080),
    "spec.traffic.gatewayAPI.parentRefs[].name": base_spec(
        traffic={"hostnames": ["fraud.example.com"], "drain": "30s", "gatewayAPI": {"parentRefs": PARENT}}
    ),
    "spec.preflight.requests.configMapRef.name": base_spec(
        preflight={"requests": {"configMapRef": {"name": "golden"}}}
    ),
    "spec.analysis.none": base_spec(),
    "spec.analysis.warmPeriod": with_check(preset="Latency"),
    "spec.analysis.checks[].name": with_check(**CRITICAL),
    "spec.analysis.checks[].preset": with_check(**CRITICAL),
    "spec.analysis.checks[].from": with_check(**CRITICAL),
    "spec.analysis.checks[].margin.points": with_check(preset="Errors", max="100%", margin={"points": "1"}),
    "spec.analysis.checks[].margin.relative": with_check(preset="Errors", max="100%", margin={"relative": "10000%"}),
    "spec.analysis.checks[].slowerThan": with_check(preset="Latency", slowerThan="100ms"),
    "spec.analysis.checks[].mean.of": with_check(**MEAN),
    "spec.analysis.checks[].mean.per": with_check(**MEAN),
    "spec.analysis.checks[].mean.revisionLabel": with_check(**MEAN),
    "spec.analysis.checks[].minSamples": with_check(**MEAN),
    "spec.analysis.checks[].minDuration": with_check(**MEAN),
    "spec.analysis.checks[].share.of": with_check(**SHARE),
    "spec.analysis.checks[].share.per": with_check(**SHARE),
    "spec.analysis.checks[].share.revisionLabel": with_check(**SHARE),
    "spec.analysis.checks[].drift.histogram": with_check(drift=_SCORES),
    "spec.analysis.checks[].drift.classes": with_check(drift=_CLASSES),
    "spec.analysis.checks[].drift.by": with_check(drift=_CLASSES),
    "spec.analysis.checks[].drift.statistic": with_check(drift=_CLASSES),
    "spec.analysis.checks[].drift.max": with_check(drift=_SCORES),
    "spec.analysis.checks[].drift.revisionLabel": with_check(drift=_SCORES),
    "spec.analysis.checks[].worseWhen": with_check(**SHARE),
    "spec.analysis.checks[].query": with_check(**QUERY),
    "spec.analysis.checks[].min": with_check(query=QUERY["query"], min="0"),
    "spec.analysis.checks[].max": with_check(**QUERY),
    "spec.analysis.checks[].onFail": with_check(**CRITICAL),
}
"""What a field needs around it to mean anything."""
for sibling in ("namespace", "sectionName"):
    STARTS[f"spec.traffic.gatewayAPI.parentRefs[].{sibling}"] = STARTS["spec.traffic.gatewayAPI.parentRefs[].name"]
for sibling in ("requests.tolerance", "timeout"):
    STARTS[f"spec.preflight.{sibling}"] = STARTS["spec.preflight.requests.configMapRef.name"]
_GATED = base_spec()
_GATED["strategy"]["stages"][0]["canary"]["steps"][1]["approval"] = {"when": "ToLeave"}
for sibling in ("when", "notAuthor"):
    STARTS[f"spec.strategy.stages[].canary.steps[].approval.{sibling}"] = _GATED


def staged(*stages: Spec, **strategy: Any) -> Spec:
    return base_spec(strategy={"stages": list(stages), "probation": {"duration": "0s"}, **strategy})


_SHADOW: Spec = {"shadow": {"percent": 20, "minDuration": "1m"}}
_QUIET: Spec = {"canary": {"steps": [{"weight": 50, "minDuration": "1m"}]}}
for name in ("percent", "minDuration", "scale"):
    STARTS[f"spec.strategy.stages[].shadow.{name}"] = staged(_SHADOW)
for name in ("when", "notAuthor"):
    STARTS[f"spec.strategy.stages[].shadow.approval.{name}"] = staged({"shadow": {"approval": {"when": "ToEnter"}}})
for name in ("minDuration", "maxDuration"):
    STARTS[f"spec.strategy.stages[].blueGreen.{name}"] = staged(_SHADOW, {"blueGreen": {"minDuration": "1m"}})
for name in ("when", "notAuthor"):
    STARTS[f"spec.strategy.stages[].blueGreen.approval.{name}"] = staged(
        _SHADOW, {"blueGreen": {"minDuration": "1m", "approval": {"when": "ToEnter"}}}
    )
for name in ("output", "mode", "tolerance"):
    STARTS[f"spec.analysis.checks[].agreement.{name}"] = {
        **staged(_SHADOW),
        "analysis": {"checks": [{"name": "same", "agreement": {}}]},
    }
_BEST = {"checks": [{"name": "same", "agreement": {"mode": "TopK"}}]}
STARTS["spec.analysis.checks[].agreement.topK"] = {**staged(_SHADOW), "analysis": _BEST}
for name in ("days", "from", "to", "timeZone"):
    # The world begins on a Monday at nine.
    opened = {"days": ["Mon"], "from": "09:30" if name == "from" else "09:00", "to": "18:00"}
    STARTS[f"spec.strategy.windows[].{name}"] = staged(_QUIET, windows=[opened])
_UNDECIDED = {"interval": "15s", "minSamples": 1_000_000}
for path, stage in (("canary.steps[]", _QUIET), ("shadow", _SHADOW)):
    STARTS[f"spec.strategy.stages[].{path}.maxDuration"] = {**staged(stage), "analysis": _UNDECIDED}
_SOON: Spec = {"canary": {"steps": [{"weight": 50, "minDuration": "1m", "maxDuration": "2m"}]}}
STARTS["spec.strategyFrom"] = {name: part for name, part in base_spec().items() if name != "strategy"}
STARTS["spec.strategy.onUndecided"] = {**staged(_SOON), "analysis": _UNDECIDED}
STARTS["spec.strategy.drill.every"] = staged(_QUIET, drill={"every": "24h"})
STARTS["spec.strategy.probation.duration"] = staged(_QUIET)
for name in ("keep", "holdback", "onNewRevision"):
    STARTS[f"spec.strategy.probation.{name}"] = staged(_QUIET, probation={"duration": "1h"})
STARTS["spec.traffic.preview.header"] = base_spec()
STARTS["spec.traffic.preview.header"]["traffic"]["preview"] = {"header": "x-preview"}
STARTS |= {
    f"spec.traffic.routeRef.{name}": base_spec(
        traffic={"routeRef": {"name": "web", "rule": "fraud"}, "drain": "30s"},
    )
    for name in ("name", "rule")
}

for path, kind in (("cookie.name", "cookie"), ("cookie.maxAge", "cookie"), ("header.name", "header")):
    STARTS[f"spec.traffic.stickiness.{path}"] = base_spec()
    STARTS[f"spec.traffic.stickiness.{path}"]["traffic"]["stickiness"] = {kind: {}}


def test_every_field_has_its_line() -> None:
    """A new field needs a line in this table before it can land."""
    assert set(EFFECTS) == set(field_paths())


@pytest.mark.parametrize("path", sorted(EFFECTS))
def test_only_this_field_changes_and_behaviour_changes(path: str) -> None:
    """What is looked at is one thing with the field as it was, and another with the field changed."""
    change, look = EFFECTS[path]
    before = copy.deepcopy(STARTS.get(path, base_spec()))
    after = copy.deepcopy(before)
    change(after)
    assert before != after
    assert look(before) != look(after)


@pytest.mark.parametrize("path", ["spec.analysis.interval", "spec.traffic.drain", "spec.template.metadata.labels"])
def test_looking_twice_gives_the_same(path: str) -> None:
    """A difference is the field's doing: the same spec is seen the same way twice."""
    _, look = EFFECTS[path]
    assert look(base_spec()) == look(base_spec())
