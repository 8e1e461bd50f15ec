"""ModelDeployments that break one rule each, with the whole sentence; and some that are just within bounds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]

_SPEC: Document = {
    "runtime": "MLServer",
    "model": {"name": "iris"},
    "template": {"spec": {"containers": [{"name": "model", "image": "registry.example.com/iris@sha256:4f6a"}]}},
    "traffic": {"hostnames": ["iris.example.com"]},
}


def resource(named: str = "iris", **spec: Any) -> Document:
    """A valid ModelDeployment with some fields of its spec replaced, or removed where None is given."""
    merged = {**copy.deepcopy(_SPEC), **spec}
    return {
        "apiVersion": "seatrial.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": named, "namespace": "default"},
        "spec": {name: value for name, value in merged.items() if value is not None},
    }


def with_check(**check: Any) -> Document:
    return resource(analysis={"checks": [{"name": "c", **check}]})


def with_live(**live: Any) -> Document:
    watched = {"name": "scores", "drift": {"histogram": "model_score"}, "snapshot": {"name": "iris-scores-0123456789"}}
    return resource(analysis={"checks": [], "none": "a test", "live": [{**watched, **live}]})


def with_steps(*steps: Document) -> Document:
    return resource(strategy={"stages": [{"canary": {"steps": list(steps)}}]})


def with_stages(*stages: Document, **strategy: Any) -> Document:
    return resource(strategy={"stages": list(stages), **strategy})


def comparing(*checks: Document) -> Document:
    """A shadow whose checks compare answers."""
    named = [{"name": f"c{index}", **check} for index, check in enumerate(checks)]
    return resource(strategy={"stages": [{"shadow": {}}]}, analysis={"checks": named})


def with_pods(**pod: Any) -> Document:
    return resource(template={"spec": {"containers": [{"name": "model", "image": "i@sha256:1"}], **pod}})


def with_traffic(**traffic: Any) -> Document:
    return resource(traffic={"hostnames": ["iris.example.com"], **traffic})


def by_pods(replicas: int = 9, **spec: Any) -> Document:
    """A model without a gateway, whose pods are weights."""
    return resource(**{"replicas": replicas, "traffic": {"replicaRatio": {}}, **spec})


def with_preflight(tolerance: str = "0.1", timeout: str = "10s") -> Document:
    return resource(
        preflight={"requests": {"configMapRef": {"name": "golden"}, "tolerance": tolerance}, "timeout": timeout}
    )


@dataclass(frozen=True)
class Case:
    """A document that breaks one rule, and what is said of it."""

    rule: str
    document: Document
    path: str
    sentence: str


QUERY = "sum(up{$selector})"
SHARE = {"of": 'decisions_total{decision="block"}', "per": "decisions_total"}
MEAN = {"of": "revenue_total", "per": "orders_total"}
REVENUE: Document = {"mean": MEAN, "worseWhen": "Lower", "margin": {"relative": "5%"}}
ELSEWHERE: Document = {**REVENUE, "mean": {**MEAN, "revisionLabel": "revision"}}
CHECK = "spec.analysis.checks[0]"
LIVE = "spec.analysis.live[0]"
STEPS = "spec.strategy.stages[0].canary.steps"

Times = dict[str, str]
TIMED: tuple[tuple[str, str, Callable[[Times], Document]], ...] = (
    ("step", f"{STEPS}[0]", lambda times: {"canary": {"steps": [{"weight": 5, **times}]}}),
    ("shadow", "spec.strategy.stages[0].shadow", lambda times: {"shadow": times}),
    (
        "preview",
        "spec.strategy.stages[0].blueGreen",
        lambda times: {"blueGreen": {"approval": {"when": "ToLeave"}, **times}},
    ),
)
"""Rules that hold for every stage that takes time: name, path, and the stage with some times."""
ONE_STEP = {"canary": {"steps": [{"weight": 5}]}}
STAGE = "spec.strategy.stages[0]"
ORDER = (
    "live traffic never falls in a trial, so shadows come first, and one canary or one blueGreen is the last stage: "
    "put the stages in this order"
)

BREAKING = [
    Case(
        "shared-by-weight",
        with_stages({"canary": {"steps": [{"weight": 5}], "capacity": "Shared", "scale": "Full"}}),
        "spec.strategy.stages[0].canary.capacity",
        "capacity is Shared and scale is Full: what both revisions share goes to them by their weights; leave scale out, "
        "or set capacity to Extra",
    ),
    Case(
        "one-router",
        by_pods(traffic={"replicaRatio": {}, "gatewayAPI": {"parentRefs": [{"name": "public"}]}}),
        "spec.traffic",
        "traffic names two of gatewayAPI, routeRef and replicaRatio, and requests are divided in one place: keep one",
    ),
    Case(
        "one-router",
        resource(
            traffic={"gatewayAPI": {"parentRefs": [{"name": "public"}]}, "routeRef": {"name": "web", "rule": "score"}}
        ),
        "spec.traffic",
        "traffic names two of gatewayAPI, routeRef and replicaRatio, and requests are divided in one place: keep one",
    ),
    *(
        Case(
            "hostnames-of-a-router",
            document,
            "spec.traffic.hostnames",
            "host names belong to a route that is made for a gateway; with routeRef they are written in your own route, "
            "and with replicaRatio there is only the Service of the model's name: set hostnames, or one of these, and "
            "not both",
        )
        for document in (
            resource(traffic={}),
            by_pods(traffic={"replicaRatio": {}, "hostnames": ["a.example.com"]}),
            resource(traffic={"hostnames": ["a.example.com"], "routeRef": {"name": "web", "rule": "score"}}),
        )
    ),
    Case(
        "ratio-without-header",
        by_pods(traffic={"replicaRatio": {}, "preview": {"header": "x-preview"}}),
        "spec.traffic.preview",
        "preview.header is read by a gateway, and with replicaRatio there is none: remove header, and reach the "
        "candidate at the Service NAME-preview",
    ),
    Case(
        "ratio-without-stickiness",
        by_pods(traffic={"replicaRatio": {}, "stickiness": {"cookie": {}}}),
        "spec.traffic.stickiness",
        "stickiness is kept by a gateway, and with replicaRatio there is none: remove stickiness, or use a gateway",
    ),
    Case(
        "ratio-without-sharing",
        by_pods(strategy={"stages": [{"canary": {"steps": [{"weight": 5}], "capacity": "Shared"}}]}),
        "spec.strategy.stages",
        "capacity of the canary is Shared, and with replicaRatio pods are weights, so stable cannot have fewer: set "
        "capacity to Extra, or use a gateway",
    ),
    Case(
        "ratio-without-shadow",
        by_pods(strategy={"stages": [{"shadow": {}}, {"canary": {"steps": [{"weight": 5}]}}]}),
        "spec.strategy.stages",
        "stages[0] is a shadow, and replicaRatio cannot copy requests, because nothing stands between clients and pods: "
        "remove the stage, or use a gateway",
    ),
    Case(
        "ratio-without-holdback",
        by_pods(strategy={"probation": {"holdback": 2}}),
        "spec.strategy.probation.holdback",
        "holdback is 2 percent in the probation, and with replicaRatio the Service leads to one revision after the "
        "promotion: set holdback to 0, or use a gateway",
    ),
    Case(
        "ratio-up-to-half",
        by_pods(strategy={"stages": [{"canary": {"steps": [{"weight": 5}, {"weight": 51}, {"weight": 90}]}}]}),
        "spec.strategy.stages",
        "a step of the canary asks 90 %, and with replicaRatio stable keeps all of its pods beside as many of the "
        "candidate, which is 50 %: set 50 or less; promotion to 100 follows the last step by itself",
    ),
    Case(
        "ratio-scale",
        by_pods(strategy={"stages": [{"canary": {"steps": [{"weight": 5}], "scale": "Full"}}]}),
        "spec.strategy.stages",
        "scale of the canary is Full, and with replicaRatio as many pods as stable has are 50 % of the requests at every "
        "step: remove scale, or write a number of pods",
    ),
    Case(
        "ratio-of-whole-pods",
        by_pods(2),
        "spec.strategy.stages",
        "a step of the canary asks 5 %, and with replicaRatio one pod beside replicas: 2 gets 33 %, more than double: "
        'raise the weight to 17, or replicas to 9, or set scale to "1" if one pod is what you mean',
    ),
    Case(
        "ratio-is-not-counted-by-a-gateway",
        by_pods(analysis={"checks": [{"name": "errors", "preset": "Errors", "from": "Gateway"}]}),
        "spec.analysis.checks",
        "a check says from: Gateway, and with replicaRatio no gateway sees the requests: use from: Runtime, or write a "
        "query",
    ),
    *(
        Case(
            "ratio-needs-runtime-metrics",
            by_pods(runtime=None, model=None, port=8080, analysis=analysis),
            "spec.analysis",
            "the presets of checks need numbers, no gateway counts with replicaRatio, and no metrics of runtime Custom are "
            "known: write queries in analysis.checks, set analysis.none with a reason, or set spec.runtime to a model "
            "server that is known",
        )
        for analysis in (None, {"checks": [{"name": "errors", "preset": "Errors"}]})
    ),
    Case(
        "one-kind-of-stage",
        with_stages({**ONE_STEP, "shadow": {}}),
        STAGE,
        "a stage is exactly one of shadow, canary and blueGreen: write each as a stage of its own",
    ),
    Case(
        "one-kind-of-stage",
        with_stages({}),
        STAGE,
        "a stage is exactly one of shadow, canary and blueGreen: write each as a stage of its own",
    ),
    Case("stages-in-order", with_stages(ONE_STEP, {"shadow": {}}), "spec.strategy.stages", ORDER),
    Case(
        "stages-in-order",
        with_stages({"shadow": {}}, ONE_STEP, {"blueGreen": {"approval": {}}}),
        "spec.strategy.stages",
        ORDER,
    ),
    Case(
        "something-speaks-for-the-flip",
        with_stages({"blueGreen": {}}),
        "spec.strategy.stages",
        "nobody comes to a preview by himself, so nothing would speak for the flip of blueGreen: put a shadow before "
        "it, or set blueGreen.approval",
    ),
    Case(
        "one-kind-of-stickiness",
        with_traffic(stickiness={}),
        "spec.traffic.stickiness",
        "stickiness is exactly one of cookie, which browsers keep, and header, for clients without cookies: set one of "
        "them",
    ),
    Case(
        "cookie-age",
        with_traffic(stickiness={"cookie": {"maxAge": "0s"}}),
        "spec.traffic.stickiness.cookie.maxAge",
        "maxAge is 0s: let a client keep the cookie for between 1m and 9600h (400 days)",
    ),
    Case(
        "a-header-of-its-own",
        with_traffic(stickiness={"header": {"name": "cookie"}}),
        "spec.traffic.stickiness.header.name",
        "the header cookie means something else already: give stickiness a header of its own",
    ),
    Case(
        "preview-beside-stickiness",
        with_traffic(stickiness={"header": {"name": "x-who"}}, preview={"header": "x-who"}),
        "spec.traffic.preview.header",
        "preview and stickiness both use the header x-who: give each its own",
    ),
    Case(
        "probation-length",
        with_stages(ONE_STEP, probation={"duration": "721h"}),
        "spec.strategy.probation.duration",
        "probation lasts 721h and 720h (30 days) is the most: set 720h or less",
    ),
    Case(
        "drill-not-too-often",
        with_stages(ONE_STEP, drill={"every": "59m"}),
        "spec.strategy.drill.every",
        "drills every 59m: set 1h or more, since each takes minutes, and 8784h (a year) at the most",
    ),
    Case(
        "holdback-needs-pods",
        with_stages(ONE_STEP, probation={"holdback": 5, "keep": "None"}),
        "spec.strategy.probation.holdback",
        "holdback is 5 percent and keep is None, so nobody would answer them: set keep to Warm or Full, or holdback "
        "to 0",
    ),
    *(
        Case(
            f"{name}-min-duration",
            with_stages(stage({"minDuration": "721h", "maxDuration": "722h"})),
            f"{path}.minDuration",
            "minDuration is 721h and 720h (30 days) is the most: set 720h or less",
        )
        for name, path, stage in TIMED
    ),
    *(
        Case(
            f"{name}-max-duration",
            with_stages(stage({"minDuration": "10m", "maxDuration": "9m"})),
            f"{path}.maxDuration",
            "maxDuration is 9m and minDuration 10m: raise maxDuration",
        )
        for name, path, stage in TIMED
    ),
    Case(
        "name-length",
        resource("a" * 53),
        "metadata.name",
        "the name has 53 characters and 52 is the most, because a revision is added to it to name Deployments: "
        "choose a shorter one",
    ),
    Case(
        "name-letters",
        resource("1iris"),
        "metadata.name",
        "1iris names Services too, so it must begin with a letter and hold only lower-case letters, digits and '-': "
        "choose another name",
    ),
    Case(
        "name-letters",
        resource("iris.v2"),
        "metadata.name",
        "iris.v2 names Services too, so it must begin with a letter and hold only lower-case letters, digits and '-': "
        "choose another name",
    ),
    Case(
        "port-needed",
        resource(runtime=None),
        "spec.port",
        "spec.port is missing, and runtime Custom does not say which port answers requests: set spec.port, or set "
        "spec.runtime to a model server that is known",
    ),
    Case(
        "port-needed",
        resource(runtime="Custom"),
        "spec.port",
        "spec.port is missing, and runtime Custom does not say which port answers requests: set spec.port, or set "
        "spec.runtime to a model server that is known",
    ),
    Case(
        "runtime-needs-model",
        resource(model=None),
        "spec.model",
        "spec.model.name is missing, and runtime MLServer is asked by the model's name whether it is loaded: set "
        "spec.model.name to the model's name inside the server",
    ),
    Case(
        "preflight-needs-open-inference",
        resource(runtime="Custom", port=80, preflight={"requests": {"configMapRef": {"name": "golden"}}}),
        "spec.preflight",
        "spec.preflight.requests speak the Open Inference Protocol, and runtime Custom is not known to: set "
        "spec.runtime to one that is (MLServer, KServe, Triton, OpenVINO) and spec.model.name, or remove spec.preflight",
    ),
    Case(
        "runtime-metrics-known",
        resource(
            runtime=None, port=80, analysis={"checks": [{"name": "errors", "preset": "Errors", "from": "Runtime"}]}
        ),
        "spec.analysis.checks",
        "a check says from: Runtime, and no metrics of runtime Custom are known: use from: Gateway, write a query, or "
        "set spec.runtime to a model server that is known",
    ),
    Case(
        "progress-deadline",
        resource(progressDeadline="9s999ms"),
        "spec.progressDeadline",
        "progressDeadline is 9s999ms and no pod is ready that fast: set 10s or more",
    ),
    Case(
        "capacity-deadline",
        resource(capacityDeadline="9s"),
        "spec.capacityDeadline",
        "capacityDeadline is 9s, and pods take longer to be placed and to get their images: set 10s or more",
    ),
    Case(
        "own-labels",
        resource(
            template={
                "metadata": {"labels": {"seatrial.dev/revision": "mine"}},
                "spec": {"containers": [{"name": "model", "image": "i"}]},
            }
        ),
        "spec.template.metadata",
        "labels and annotations that begin with seatrial.dev/ are the operator's own: rename or remove them",
    ),
    Case(
        "own-labels",
        resource(
            template={
                "metadata": {"annotations": {"team": "risk", "seatrial.dev/command": "mine"}},
                "spec": {"containers": [{"name": "model", "image": "i"}]},
            }
        ),
        "spec.template.metadata",
        "labels and annotations that begin with seatrial.dev/ are the operator's own: rename or remove them",
    ),
    Case(
        "restart-policy",
        with_pods(restartPolicy="OnFailure"),
        "spec.template.spec.restartPolicy",
        "restartPolicy is OnFailure, but a model that serves is restarted when it stops: remove the field",
    ),
    Case(
        "drain",
        with_traffic(drain="1h1ms"),
        "spec.traffic.drain",
        "drain is 1h1ms and a revision may stay for 1h at most after its last traffic: set 1h or less",
    ),
    Case(
        "stickiness-needs-rules",
        resource(traffic={"routeRef": {"name": "web", "rule": "score"}, "stickiness": {"cookie": {}}}),
        "spec.traffic.stickiness",
        "stickiness needs rules of its own, and routeRef adds no rule to a route that is not ours: remove stickiness, or "
        "have a route made with hostnames",
    ),
    Case(
        "header-needs-a-rule",
        resource(traffic={"routeRef": {"name": "web", "rule": "score"}, "preview": {"header": "x-preview"}}),
        "spec.traffic.preview.header",
        "a preview header needs a rule of its own, and routeRef adds no rule to a route that is not ours: remove the "
        "header, and use the Service NAME-preview, or a rule of yours that leads to it",
    ),
    Case(
        "parents-apart",
        with_traffic(gatewayAPI={"parentRefs": [{"name": "public"}, {"name": "public", "sectionName": "https"}]}),
        "spec.traffic.gatewayAPI.parentRefs",
        "parentRefs names one Gateway twice: give each a sectionName of its own, or remove one",
    ),
    Case(
        "parents-apart",
        with_traffic(
            gatewayAPI={
                "parentRefs": [
                    {"name": "public", "namespace": "gateways", "sectionName": "https"},
                    {"name": "public", "namespace": "gateways", "sectionName": "https"},
                ]
            }
        ),
        "spec.traffic.gatewayAPI.parentRefs",
        "parentRefs names one Gateway twice: give each a sectionName of its own, or remove one",
    ),
    Case(
        "preflight-timeout",
        with_preflight(timeout="999ms"),
        "spec.preflight.timeout",
        "timeout is 999ms: give a pod between 1s and 1h to answer all recorded requests",
    ),
    Case(
        "preflight-timeout",
        with_preflight(timeout="61m"),
        "spec.preflight.timeout",
        "timeout is 61m: give a pod between 1s and 1h to answer all recorded requests",
    ),
    Case(
        "tolerance",
        with_preflight(tolerance="-0.1"),
        "spec.preflight.requests.tolerance",
        "tolerance is -0.1 and no difference is below 0: set 0 for equal numbers, or more",
    ),
    Case(
        "weights-rise",
        with_steps({"weight": 5}, {"weight": 50}, {"weight": 25}),
        STEPS,
        "the weights are [5, 50, 25], and each step must be higher than the one before: raise or remove a step",
    ),
    Case(
        "weights-rise",
        with_steps({"weight": 5}, {"weight": 5}),
        STEPS,
        "the weights are [5, 5], and each step must be higher than the one before: raise or remove a step",
    ),
    Case(
        "weight-below-100",
        with_steps({"weight": 50}, {"weight": 100}),
        f"{STEPS}[1].weight",
        "weight is 100, but the last step is judged against stable, so stable must keep traffic: set 99 or less; "
        "promotion to 100 follows the last step by itself",
    ),
    Case(
        "interval",
        resource(analysis={"interval": "4s"}),
        "spec.analysis.interval",
        "interval is 4s: set the time between two looks to between 5s and 10m",
    ),
    Case(
        "interval",
        resource(analysis={"interval": "10m1s"}),
        "spec.analysis.interval",
        "interval is 10m1s: set the time between two looks to between 5s and 10m",
    ),
    Case(
        "none-excludes-checks",
        resource(analysis={"none": "a toy", "checks": [{"name": "errors", "preset": "Errors"}]}),
        "spec.analysis.none",
        "analysis.none says that no metric judges this model, and the length of analysis.checks is 1: remove one of "
        "the two",
    ),
    Case(
        "none-excludes-shared-checks",
        resource(analysis={"none": "a toy", "use": ["orders"]}),
        "spec.analysis.none",
        "analysis.none says that no metric judges this model, and analysis.use names checks: remove one of the two",
    ),
    Case(
        "something-judges",
        resource(analysis={"checks": []}),
        "spec.analysis.checks",
        "nothing here can judge this model: add a check, or set analysis.none with a reason",
    ),
    Case(
        "one-kind-of-check",
        with_check(preset="Errors", query=QUERY, max="1%"),
        CHECK,
        "check c says none or several of preset, share, mean, query, agreement and drift: name exactly one",
    ),
    Case(
        "one-kind-of-check",
        with_check(max="1"),
        CHECK,
        "check c says none or several of preset, share, mean, query, agreement and drift: name exactly one",
    ),
    Case(
        "share-needs-something-to-hold-it-against",
        with_check(share=SHARE),
        CHECK,
        "check c is a share of your own: give it a margin to stable, a max, or both; from and min say nothing of it, remove "
        "them",
    ),
    Case(
        "share-needs-something-to-hold-it-against",
        with_check(share=SHARE, margin={"points": "1"}, **{"from": "Runtime"}),
        CHECK,
        "check c is a share of your own: give it a margin to stable, a max, or both; from and min say nothing of it, remove "
        "them",
    ),
    Case(
        "drift-has-its-own-max",
        with_check(drift={"histogram": "model_score"}, margin={"points": "1"}),
        CHECK,
        "check c is about drift, of which from, margin, min and max beside it say nothing: use drift.max",
    ),
    Case(
        "drift-has-its-own-max",
        with_check(drift={"histogram": "model_score"}, min="0.1"),
        CHECK,
        "check c is about drift, of which from, margin, min and max beside it say nothing: use drift.max",
    ),
    Case(
        "drift-of-one-thing",
        with_check(drift={"histogram": "model_score", "by": "class"}),
        f"{CHECK}.drift",
        "drift is that of a histogram, or of classes by a label: set histogram alone, or classes and by",
    ),
    Case(
        "drift-of-one-thing",
        with_check(drift={"statistic": "PSI"}),
        f"{CHECK}.drift",
        "drift is that of a histogram, or of classes by a label: set histogram alone, or classes and by",
    ),
    Case(
        "drift-in-order",
        with_check(drift={"classes": "decisions_total", "by": "decision", "statistic": "KS"}),
        f"{CHECK}.drift.statistic",
        "classes have no order, which KS needs: use PSI or JS",
    ),
    Case(
        "drift-max-of-statistic",
        with_check(drift={"histogram": "model_score", "statistic": "JS", "max": "0.9"}),
        f"{CHECK}.drift.max",
        "drift.max is 0.9: JS cannot be held to that; set it above 0, for JS below 0.83 and for KS below 1",
    ),
    Case(
        "drift-max-of-statistic",
        with_check(drift={"histogram": "model_score", "max": "0"}),
        f"{CHECK}.drift.max",
        "drift.max is 0: PSI cannot be held to that; set it above 0, for JS below 0.83 and for KS below 1",
    ),
    Case(
        "live-drift-of-one-thing",
        with_live(drift={"classes": "decisions_total"}),
        f"{LIVE}.drift",
        "drift is that of a histogram, or of classes by a label: set histogram alone, or classes and by",
    ),
    Case(
        "live-drift-in-order",
        with_live(drift={"classes": "decisions_total", "by": "decision", "statistic": "KS"}),
        f"{LIVE}.drift.statistic",
        "classes have no order, which KS needs: use PSI or JS",
    ),
    Case(
        "live-drift-max-of-statistic",
        with_live(drift={"histogram": "model_score", "statistic": "KS", "max": "1"}),
        f"{LIVE}.drift.max",
        "drift.max is 1: KS cannot be held to that; set it above 0, for JS below 0.83 and for KS below 1",
    ),
    *(
        Case(
            "live-window",
            with_live(window=window),
            f"{LIVE}.window",
            f"the window of scores is {window}: samples of a longer one than 6h are too many for one question, and one under "
            "10m sees too little; set 10m to 6h",
        )
        for window in ("9m", "7h")
    ),
    *(
        Case("live-every", with_live(every=every), f"{LIVE}.every", f"scores is looked at every {every}: set 1m to 24h")
        for every in ("59s", "25h")
    ),
    Case(
        "worse-when-of-share",
        with_check(share=SHARE, max="5%", worseWhen="Either"),
        f"{CHECK}.worseWhen",
        "check c has worseWhen, which belongs to share and mean; and a max is for shares that are worse when higher: remove "
        "one of the two",
    ),
    *(
        Case(
            "mean-has-a-direction-and-a-margin",
            with_check(mean=MEAN, **{"worseWhen": "Lower", "margin": {"relative": "5%"}, **wrong}),
            CHECK,
            "check c compares means, which have units of their own: say worseWhen, and a margin with relative below 100% and no "
            "points; from, min and max say nothing of it, remove them",
        )
        for wrong in (
            {"margin": {"relative": "100%"}},
            {"margin": {"points": "5", "relative": "5%"}},
            {"margin": {"points": "5"}},
            {"max": "5"},
            {"from": "Runtime"},
        )
    ),
    Case(
        "mean-has-a-direction-and-a-margin",
        with_check(mean=MEAN, margin={"relative": "5%"}),
        CHECK,
        "check c compares means, which have units of their own: say worseWhen, and a margin with relative below 100% and no "
        "points; from, min and max say nothing of it, remove them",
    ),
    *(
        Case(
            "horizon-of-mean",
            with_check(share=SHARE, margin={"points": "1"}, **horizon),
            CHECK,
            "check c has minSamples or minDuration, which belong to mean: remove them; analysis.minSamples and the steps' "
            "minDuration are for every check",
        )
        for horizon in ({"minSamples": 5000}, {"minDuration": "6h"})
    ),
    Case(
        "horizon-within-a-month",
        resource(
            analysis={"checks": [{"name": "c", **REVENUE, "minDuration": "721h"}]},
            strategy={"stages": [{"canary": {"steps": [{"weight": 5, "maxDuration": "800h"}]}}]},
        ),
        f"{CHECK}.minDuration",
        "minDuration of check c is 721h and 720h (30 days) is the most: set 720h or less",
    ),
    Case(
        "mean-within-its-step",
        with_check(**REVENUE, minDuration="24h"),
        "spec.analysis.checks",
        "the first canary step ends undecided after its maxDuration, before a check's mean may be judged (minDuration, 1h where "
        "left out): set the check's minDuration below, or raise maxDuration",
    ),
    Case(
        "mean-within-its-step",
        resource(
            analysis={"checks": [{"name": "c", **REVENUE}]},
            strategy={"stages": [{"canary": {"steps": [{"weight": 5, "maxDuration": "1h"}]}}]},
        ),
        "spec.analysis.checks",
        "the first canary step ends undecided after its maxDuration, before a check's mean may be judged (minDuration, 1h where "
        "left out): set the check's minDuration below, or raise maxDuration",
    ),
    *(
        Case(
            "warm-within-every-step",
            resource(analysis={"warmPeriod": "10m"}, strategy={"stages": [stage]}),
            "spec.analysis.warmPeriod",
            "warmPeriod is 10m, and a step ends undecided after its maxDuration before any answer is timed: set a shorter "
            "warmPeriod, or raise maxDuration",
        )
        for stage in (
            {"shadow": {"maxDuration": "10m"}},
            {"canary": {"steps": [{"weight": 5}, {"weight": 50, "maxDuration": "10m"}]}},
        )
    ),
    *(
        Case(
            "outcomes-need-a-canary",
            resource(
                analysis={"checks": [{"name": "errors", "preset": "Errors"}, {"name": "c", **asked}]},
                strategy={"stages": [{"shadow": {}}, *rest]},
            ),
            "spec.strategy.stages",
            "a check reads what another service counts (revisionLabel), and nobody acts on the answers of a shadow or comes to "
            "the preview of a blueGreen: add a canary, or remove the check",
        )
        for asked, rest in (
            (ELSEWHERE, []),
            ({"share": {**SHARE, "revisionLabel": "revision"}, "margin": {"points": "1"}}, [{"blueGreen": {}}]),
        )
    ),
    Case(
        "something-judges-the-shadow",
        resource(analysis={"checks": [{"name": "c", **ELSEWHERE}]}, strategy={"stages": [{"shadow": {}}, ONE_STEP]}),
        "spec.analysis.checks",
        "every check reads what another service counts (revisionLabel), and nobody acts on the answers of a shadow, so it would "
        "pass unjudged: add a check of errors, or remove the shadow",
    ),
    Case(
        "agreement-has-a-margin-only",
        comparing({"agreement": {}, "max": "5%"}),
        CHECK,
        "check c0 compares answers with stable's own, so from, min and max say nothing: use margin",
    ),
    Case(
        "agreement-in-one-way",
        comparing({"agreement": {"mode": "Class"}}, {"agreement": {"mode": "TopK"}}),
        "spec.analysis.checks",
        "agreement checks differ in mode, tolerance or topK, and answers are compared in one way: make them the same; "
        "they may name different outputs",
    ),
    Case(
        "agreement-in-one-way",
        comparing({"agreement": {"tolerance": "0.1"}}, {"agreement": {}}),
        "spec.analysis.checks",
        "agreement checks differ in mode, tolerance or topK, and answers are compared in one way: make them the same; "
        "they may name different outputs",
    ),
    *(
        Case(
            "agreement-field-of-mode",
            comparing({"agreement": asked}),
            f"{CHECK}.agreement",
            f"answers are compared by {asked['mode']}; tolerance, 0 or more, belongs to Numeric and topK to TopK: remove "
            "what does not belong",
        )
        for asked in (
            {"mode": "Class", "tolerance": "0.1"},
            {"mode": "Numeric", "topK": 3},
            {"mode": "Numeric", "tolerance": "-1"},
        )
    ),
    Case(
        "agreement-needs-a-shadow",
        with_check(agreement={}),
        "spec.analysis.checks",
        "a check compares answers (agreement), and only in a shadow both models answer the same request: put a shadow "
        "first, or remove the check",
    ),
    Case(
        "query-needs-bound",
        with_check(query=QUERY),
        CHECK,
        "check c has a query and nothing to hold its value against: add min, max or both",
    ),
    Case(
        "query-without-preset-fields",
        with_check(query=QUERY, max="1", margin={"points": "1"}),
        CHECK,
        "check c has a query, and margin and from belong to presets: remove them, and use min and max",
    ),
    Case(
        "query-without-preset-fields",
        with_check(query=QUERY, max="1", **{"from": "Gateway"}),
        CHECK,
        "check c has a query, and margin and from belong to presets: remove them, and use min and max",
    ),
    Case(
        "slower-than-latency",
        with_check(preset="Errors", slowerThan="1s"),
        f"{CHECK}.slowerThan",
        "check c has slowerThan, which belongs to the presets Latency, FirstToken and InterToken: remove it, or use one of "
        "them",
    ),
    Case(
        "slower-than-latency",
        with_check(query=QUERY, max="1", slowerThan="1s"),
        f"{CHECK}.slowerThan",
        "check c has slowerThan, which belongs to the presets Latency, FirstToken and InterToken: remove it, or use one of "
        "them",
    ),
    Case(
        "slower-than-positive",
        with_check(preset="Latency", slowerThan="0s"),
        f"{CHECK}.slowerThan",
        "slowerThan of check c is 0 and every request takes longer: set the time at which one is slow",
    ),
    Case(
        "tokens-are-counted-by-runtimes",
        with_check(preset="FirstToken", **{"from": "Gateway"}),
        f"{CHECK}.from",
        "check c is of tokens, and no gateway counts them: remove from, or say from: Runtime",
    ),
    Case(
        "preset-without-min",
        with_check(preset="Errors", min="1%"),
        f"{CHECK}.min",
        "check c has preset Errors, and no share of bad requests is too small: remove min",
    ),
    Case(
        "preset-max-is-share",
        with_check(preset="Errors", max="0.05"),
        f"{CHECK}.max",
        'max of check c is 0.05, and here it is a share: write a percentage from 0% to 100%, such as "5%"',
    ),
    Case(
        "preset-max-is-share",
        with_check(preset="Latency", max="100.1%"),
        f"{CHECK}.max",
        'max of check c is 100.1%, and here it is a share: write a percentage from 0% to 100%, such as "5%"',
    ),
    Case(
        "preset-max-is-share",
        with_check(preset="Errors", max="-5%"),
        f"{CHECK}.max",
        'max of check c is -5%, and here it is a share: write a percentage from 0% to 100%, such as "5%"',
    ),
    Case(
        "query-bounds-are-numbers",
        with_check(query=QUERY, min="5%"),
        CHECK,
        "check c compares the value of a query, which has no percent: write min and max as plain numbers, such as "
        '"0.05"',
    ),
    Case(
        "min-not-above-max",
        with_check(query=QUERY, min="2", max="1.5"),
        CHECK,
        "check c has min 2 above max 1.5, so no value can pass: exchange or correct them",
    ),
    Case(
        "query-names-pods",
        with_check(query="sum(up)", max="1"),
        f"{CHECK}.query",
        "the query of check c has neither $selector nor $namespace, so it would count other models' requests too: "
        "write $selector between the braces of each metric",
    ),
    Case(
        "margin-says-something",
        with_check(preset="Errors", margin={}),
        f"{CHECK}.margin",
        "the margin is empty: set points, relative or both, or remove margin for the default",
    ),
    Case(
        "margin-positive",
        with_check(preset="Errors", margin={"points": "0"}),
        f"{CHECK}.margin",
        "a margin of 0 or less could never be shown to hold, and one above 100 points never fails: set points above 0 "
        "and up to 100, and relative above 0%",
    ),
    Case(
        "margin-positive",
        with_check(preset="Errors", margin={"points": "100.5"}),
        f"{CHECK}.margin",
        "a margin of 0 or less could never be shown to hold, and one above 100 points never fails: set points above 0 "
        "and up to 100, and relative above 0%",
    ),
    Case(
        "margin-positive",
        with_check(preset="Errors", margin={"relative": "0%"}),
        f"{CHECK}.margin",
        "a margin of 0 or less could never be shown to hold, and one above 100 points never fails: set points above 0 "
        "and up to 100, and relative above 0%",
    ),
]
"""At least one for each rule; each breaks that rule and no other."""

_WAITS = "wait for its end, or end it with seatrial abort or undo"
CHANGING = [
    Case(
        "router-stays-in-a-trial",
        by_pods(),
        "spec.traffic",
        f"the router cannot change while two revisions are served, in a trial or a probation: {_WAITS}",
    ),
]
"""What is refused of `resource()` while its first trial is under way, and would be fine by itself."""

VALID = {
    "the shortest": resource(),
    "pods as weights": by_pods(),
    "one pod is meant": by_pods(
        1, strategy={"stages": [{"canary": {"steps": [{"weight": 5}, {"weight": 50}], "scale": "1"}}]}
    ),
    "a flip without a gateway": by_pods(
        1, traffic={"replicaRatio": {}, "preview": {}}, strategy={"stages": [{"blueGreen": {"approval": {}}}]}
    ),
    "no gateway and no metrics": by_pods(runtime=None, model=None, port=8080, analysis={"none": "a demo"}),
    "parked pods": by_pods(0),
    "the longest name": resource("a" * 52),
    "nothing but checks of the house": resource(analysis={"checks": [], "use": ["orders"]}),
    "answers compared in a shadow of the house": resource(
        strategyFrom="careful", analysis={"checks": [{"name": "c", "agreement": {}}]}
    ),
    "few pods and steps of the house": by_pods(1, strategyFrom="halves"),
    "every kind of stage": with_stages({"shadow": {"percent": 1}}, {"shadow": {"scale": "3"}}, {"blueGreen": {}}),
    "an outcome that is judged after the shadow": resource(
        analysis={"checks": [{"name": "errors", "preset": "Errors"}, {"name": "c", **ELSEWHERE}]},
        strategy={"stages": [{"shadow": {}}, ONE_STEP]},
    ),
    "a mean with a horizon of its own": with_check(**REVENUE, minSamples=2000, minDuration="23h"),
    "a mean of the model's own in a shadow": resource(
        analysis={"checks": [{"name": "c", **REVENUE}]}, strategy={"stages": [{"shadow": {}}]}
    ),
    "a preview that a person judges": with_stages(
        {"blueGreen": {"approval": {"when": "ToLeave"}}}, onUndecided="Rollback"
    ),
    "a whole probation": with_stages(
        ONE_STEP, probation={"duration": "0s", "keep": "Full", "holdback": 50, "onNewRevision": "Wait"}
    ),
    "drift of scores": with_check(drift={"histogram": 'model_score{model="a"}', "statistic": "KS", "max": "0.9"}),
    "drift of classes": with_check(
        drift={"classes": "decisions_total", "by": "decision", "statistic": "JS", "revisionLabel": "rev"}
    ),
    "live predictions beside a snapshot": with_live(window="10m", every="24h"),
    "live classes beside a snapshot": with_live(
        drift={"classes": "decisions_total", "by": "decision", "statistic": "JS"}, window="6h", every="1m"
    ),
    "answers compared": comparing(
        {"agreement": {"mode": "TopK", "topK": 3, "output": "a"}, "margin": {"points": "2"}, "onFail": "Pause"},
        {"agreement": {"mode": "TopK", "topK": 3, "output": "b"}},
    ),
    "a preview header": with_traffic(preview={"header": "x-preview"}),
    "behind a rule of a team's own route": resource(
        traffic={"routeRef": {"name": "web", "rule": "score"}, "preview": {}}
    ),
    "a cookie beside a preview header": with_traffic(
        stickiness={"cookie": {"name": "Who_1", "maxAge": "9600h"}}, preview={"header": "x-preview"}
    ),
    "a header for users": with_traffic(stickiness={"header": {}}, preview={}),
    "another server with its port": resource(runtime="Custom", model=None, port=1),
    "no server named, with a port": resource(runtime=None, model=None, port=65535),
    "parked and suspended": resource(replicas=0, suspend=True),
    "no metric, with a reason": resource(analysis={"none": "a toy that nobody asks anything"}),
    "no metric, no checks": resource(analysis={"none": "a toy", "checks": []}),
    "every default asked for": resource(strategy={}, analysis={}),
    "bounds of durations, low": resource(progressDeadline="10s", capacityDeadline="10s", analysis={"interval": "5s"}),
    "bounds of durations, high": resource(analysis={"interval": "600s"}),
    "a long drain": with_traffic(drain="60m"),
    "no drain": with_traffic(drain="0s"),
    "the longest step": with_steps({"weight": 99, "minDuration": "720h", "maxDuration": "720h"}),
    "a step without a wait": with_steps({"weight": 1, "minDuration": "0s", "approval": {}}),
    "exact preflight": with_preflight(tolerance="0", timeout="1s"),
    "patient preflight": with_preflight(timeout="59m60s"),
    "listeners of one gateway": with_traffic(
        gatewayAPI={"parentRefs": [{"name": "g", "sectionName": "a"}, {"name": "g", "sectionName": "b"}]}
    ),
    "one name in two namespaces": with_traffic(
        gatewayAPI={"parentRefs": [{"name": "g"}, {"name": "g", "namespace": "other"}]}
    ),
    "a wildcard": resource(traffic={"hostnames": ["*.example.com", "iris.example.com"]}),
    "no error at all": with_check(preset="Errors", max="0%", margin={"points": "0.01", "relative": "0.5%"}),
    "a query between": with_check(query=QUERY, min="-1.5", max="-1.5", onFail="Pause"),
    "a query of the namespace": with_check(query='sum(up{namespace="$namespace"})', min="1"),
    "tokens at the server": with_check(preset="InterToken", slowerThan="50ms", **{"from": "Runtime"}),
    "latency at the gateway": with_check(preset="Latency", slowerThan="1ms", **{"from": "Gateway"}),
    "latency at the server": with_check(preset="Latency", slowerThan="1s500ms", **{"from": "Runtime"}),
    "what pods may say": with_pods(restartPolicy="Always", volumes=[{"name": "v", "emptyDir": {}}]),
    "nulls": resource(replicas=1, port=None, analysis={"interval": None, "none": None}),
}
"""Just within bounds, and short forms: both accept them."""

MALFORMED = {
    "a number as text": (resource(replicas="3"), "spec.replicas"),
    "a truth as text": (resource(suspend="yes"), "spec.suspend"),
    "too many pods": (resource(replicas=1001), "spec.replicas"),
    "no such port": (resource(port=65536), "spec.port"),
    "an unknown runtime": (resource(runtime="mlserver"), "spec.runtime"),
    "a model's path as its name": (resource(model={"name": "a/b"}), "spec.model.name"),
    "a model without a name": (resource(model={"version": "1"}), "spec.model.name"),
    "no pods": (resource(template=None), "spec.template"),
    "no containers": (resource(template={"spec": {"containers": []}}), "spec.template.spec.containers"),
    "no image": (
        resource(template={"spec": {"containers": [{"name": "model"}]}}),
        "spec.template.spec.containers[0].image",
    ),
    "two containers of one name": (
        resource(template={"spec": {"containers": [{"name": "m", "image": "a"}, {"name": "m", "image": "b"}]}}),
        "spec.template.spec.containers[1]",
    ),
    "no host": (resource(traffic={"hostnames": []}), "spec.traffic.hostnames"),
    "a host with a port": (resource(traffic={"hostnames": ["a.example.com:80"]}), "spec.traffic.hostnames[0]"),
    "a host twice": (resource(traffic={"hostnames": ["a.b", "a.b"]}), "spec.traffic.hostnames[1]"),
    "a duration without a unit": (with_traffic(drain="30"), "spec.traffic.drain"),
    "a duration in days": (with_traffic(drain="1d"), "spec.traffic.drain"),
    "a number of seconds": (with_traffic(drain=30), "spec.traffic.drain"),
    "no gateway": (with_traffic(gatewayAPI={"parentRefs": []}), "spec.traffic.gatewayAPI.parentRefs"),
    "a weight of nothing": (with_steps({"weight": 0}), f"{STEPS}[0].weight"),
    "half a percent": (with_steps({"weight": 0.5}), f"{STEPS}[0].weight"),
    "no steps": (with_steps(), STEPS),
    "five stages": (
        resource(strategy={"stages": [{"shadow": {"percent": 1}}] * 5}),
        "spec.strategy.stages",
    ),
    "a copy of nothing": (with_stages({"shadow": {"percent": 0}}), "spec.strategy.stages[0].shadow.percent"),
    "no pods for a shadow": (with_stages({"shadow": {"scale": "0"}}), "spec.strategy.stages[0].shadow.scale"),
    "a header with a space": (with_traffic(preview={"header": "x y"}), "spec.traffic.preview.header"),
    "a cookie with a dot": (
        with_traffic(stickiness={"cookie": {"name": "a.b"}}),
        "spec.traffic.stickiness.cookie.name",
    ),
    "a check twice": (
        resource(analysis={"checks": [{"name": "a", "preset": "Errors"}, {"name": "a", "preset": "Latency"}]}),
        "spec.analysis.checks[1]",
    ),
    "a fraction": (with_check(preset="Errors", margin={"points": 0.5}), f"{CHECK}.margin.points"),
    "points in percent": (with_check(preset="Errors", margin={"points": "1%"}), f"{CHECK}.margin.points"),
    "a share without percent": (with_check(preset="Errors", margin={"relative": "5"}), f"{CHECK}.margin.relative"),
    "an empty reason": (resource(analysis={"none": ""}), "spec.analysis.none"),
    "an unknown gate": (
        with_steps({"weight": 5, "approval": {"when": "ToStay"}}),
        f"{STEPS}[0].approval.when",
    ),
}
"""A field that is wrong by itself, and its path: both refuse them."""

UNKNOWN = {
    "in the spec": (resource(replica=3), "spec.replica"),
    "in a step": (with_steps({"weight": 5, "minDurations": "5m"}), f"{STEPS}[0].minDurations"),
    "in a check": (with_check(preset="Errors", margins={}), f"{CHECK}.margins"),
    "in the pods' metadata": (
        resource(template={"metadata": {"name": "x"}, "spec": {"containers": [{"name": "m", "image": "i"}]}}),
        "spec.template.metadata.name",
    ),
}
"""A field that does not exist, and its path: lint and strict validation refuse them."""
