"""Requests lost in everything that can happen to a trial: `make zero-lost`, or `python -m benchmarks.lost --help`.

Each scenario has a model of its own and a crowd of clients that never retry: quick requests on kept and on new
connections, slow ones, and streams of a minute. Those that leave the others alone play a few at a time, the others one
by one. What each came to is kept in build-out, and the page of docs is written from it. Exit code 1: a request was
lost where none may be, or the control lost none.

A new scenario is a function and a line of `SCENARIOS`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.ground import stage
from dev.traffic import Crowd, Report
from seatrial import __version__
from tests.cluster.api import Api, Object
from tests.cluster.control import QUICK, all_lost, careless, jump, leave, without_precautions
from tests.cluster.evictions import drain, may_go
from tests.cluster.installed import Operator
from tests.cluster.model import NONE, Model, staged
from tests.cluster.together import Stage

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "zero-lost.md"
KEPT = ROOT / "build-out" / "zero-lost"
BEGIN, END = "<!-- made by make zero-lost -->\n", "<!-- end -->\n"
MINUTE = 60.0
"""Seconds that a stream takes; what was measured with others is not published."""
LEAD = 10
"""Seconds of traffic before anything happens: streams are under way when it does."""
UNDER_WAY = 20
"""Seconds after which a revision with half of the traffic has streams under way: ten begin, half of them there."""
OWN = "failing as asked"
"""What the light model says when it fails."""
MARGIN = 5
"""Seconds by which the drain is longer than the longest request."""

SHADOW: Object = {"shadow": {"percent": 50, "minDuration": "5s"}}
CANARY: Object = {"canary": {"steps": [{"weight": w, "minDuration": "5s"} for w in (20, 50)]}}
HALF: Object = {"canary": {"steps": [{"weight": 50, "minDuration": "10m"}]}}
"""A step in which a trial stays while something else happens."""
FLIP: Object = {"blueGreen": {"minDuration": "2s", "approval": {"when": "ToLeave"}}}


@dataclass
class Scene:
    """Where a scenario plays: one model with one accepted revision, under traffic."""

    model: Model
    operator: Operator
    drain: str
    stages: Sequence[Object]
    probation: Object
    crowd: Crowd = field(init=False)
    """The clients, once there is something to serve them."""
    first: str = ""
    """The revision that serves in the beginning."""
    bad: str = ""
    """A revision whose own wrong answers are the model's, not lost on the way to it."""
    met: set[str] = field(default_factory=set)
    """Revisions that must have answered requests of every kind, or the zeros say nothing of them."""

    def spec(self, generation: int, **environment: object) -> Object:
        return staged(
            self.model,
            *self.stages,
            probation=self.probation,
            drain=self.drain,
            GENERATION=generation,
            **environment,
        )

    def change(self, generation: int = 2, **environment: object) -> None:
        """Apply another revision."""
        self.model.apply(self.spec(generation, **environment))

    def half(self) -> str:
        """Half of the traffic at a new candidate, which stays there, all kinds under way; gives it."""
        self.change()
        second = self.model.on_step(50)
        self.met.add(second)
        time.sleep(UNDER_WAY)
        return second

    def accepted(self) -> str:
        """Wait until another revision serves alone; gives it."""
        second = self.model.stable(90, other_than=self.first)
        self.met.add(second)
        self.alone(second)
        return second

    def back(self) -> None:
        """Wait until the first revision serves alone."""
        self.model.until("the first revision serves", lambda s: s.get("stable") == self.first, 90)
        self.alone(self.first)

    def alone(self, revision: str) -> None:
        """Wait until no other revision has a pod."""
        self.model.until(f"{revision} alone", lambda s: [entry["name"] for entry in s["revisions"]] == [revision], 90)

    def probation_begins(self) -> None:
        status = self.model.until("probation", lambda s: s.get("phase") == "Probation", 90)
        self.met.add(str(status["stable"]))


def promotion(scene: Scene) -> None:
    scene.change()
    scene.accepted()


def flip(scene: Scene) -> None:
    """Approved, then all traffic at once; at the end of its probation the revision before goes."""
    scene.change()
    approve(scene)
    scene.accepted()


def flip_back(scene: Scene) -> None:
    """From the probation, where the revision before is still in full size."""
    scene.change()
    approve(scene)
    scene.probation_begins()
    scene.model.ask("abort")
    scene.back()


def approve(scene: Scene) -> None:
    scene.model.until(
        "the approval is waited for",
        lambda s: (s.get("rollout", {}).get("overlay") or {}).get("kind") == "AwaitingApproval",
    )
    scene.model.ask("approve")


def undo(scene: Scene) -> None:
    """`seatrial undo`: the revision before is at one warm pod, and is brought to full size first."""
    scene.change()
    scene.probation_begins()
    scene.model.until("one warm pod", lambda _: len(scene.model.pods(scene.first)) == 1, 90)
    scene.model.ask("abort", "undo")
    scene.back()


def abort(scene: Scene) -> None:
    scene.half()
    scene.model.ask("abort")
    scene.back()


def bad(scene: Scene) -> None:
    """Every second answer is a 500 once it serves; nobody but the checks sends it back."""
    scene.change(ERROR_RATE=0.5, ERROR_AFTER=30)
    scene.bad = scene.model.on_step(50)
    scene.met.add(scene.bad)
    scene.model.sent_back(90)
    scene.back()


def superseded(scene: Scene) -> None:
    """Another revision in mid-trial: the candidate leaves, and the new one sails from the first step on."""
    scene.half()
    scene.stages = [CANARY]
    scene.change(3)
    scene.accepted()


def withdrawn(scene: Scene) -> None:
    """Stable's template is applied again in mid-trial."""
    scene.half()
    scene.change(1)
    scene.back()


def scaled(scene: Scene) -> None:
    """Two pods, four, two, through the scale subresource as an autoscaler does, with half of the traffic on each side."""
    scene.half()
    model = scene.model
    for size in (4, 2):
        model.api.merge("ModelDeployment", model.namespace, model.name, {"spec": {"replicas": size}}, "scale")
        model.until(f"{size} of stable", partial(_has_pods, model, scene.first, size))
        model.until("all ready", lambda s: all(entry["ready"] == entry["replicas"] for entry in s["revisions"]))
        time.sleep(5)
    model.ask("abort")
    scene.back()


def _has_pods(model: Model, revision: str, count: int, _: Object) -> bool:
    return len(model.pods(revision)) == count


def drained(scene: Scene) -> None:
    """Every pod of both sides is evicted, as `kubectl drain` does."""
    second = scene.half()
    may_go(scene.model, (scene.first,))
    drain(scene.model, {pod["metadata"]["name"] for r in (scene.first, second) for pod in scene.model.pods(r)})
    scene.model.ask("abort")
    scene.back()


def killed(scene: Scene) -> None:
    """SIGKILL in mid-trial; the Lease has to run out before it goes on."""
    scene.change()
    scene.model.on_step(20)
    scene.operator.kill()
    scene.operator.wait_leading()
    scene.accepted()


def upgraded(scene: Scene) -> None:
    """To a version whose builders render everything otherwise, and back."""
    scene.half()
    try:
        scene.operator.upgrade(scene.operator.next_version())
        time.sleep(5)
    finally:
        scene.operator.upgrade(scene.operator.present)
    scene.stages = [CANARY]
    scene.change()
    scene.accepted()


def rerouted(scene: Scene) -> None:
    """Another host name, a listener by its name, a gateway that does not exist, and all of it taken back."""
    scene.half()
    spec = scene.spec(2)
    traffic, host = spec["traffic"], scene.model.host
    gateway = {"name": "gateway", "namespace": "gateways"}
    for more in (
        {"hostnames": [host, f"too.{host}"]},
        {"gatewayAPI": {"parentRefs": [{**gateway, "sectionName": "http"}]}},
        {"gatewayAPI": {"parentRefs": [gateway, {"name": "nowhere", "namespace": "gateways"}]}},
        {},
    ):
        scene.model.apply({**spec, "traffic": {**traffic, **more}})
        time.sleep(6)
    scene.model.ask("abort")
    scene.back()


def gateway(scene: Scene) -> None:
    """The proxy's listeners and clusters change under the traffic, and change back."""
    scene.half()
    with changed_gateway(scene.model):
        time.sleep(6)
    scene.model.ask("abort")
    scene.back()


@contextmanager
def changed_gateway(model: Model) -> Iterator[None]:
    """One listener more, and other timeouts of all connections to models."""
    timeouts = ("BackendTrafficPolicy", "gateways", "timeouts", "/spec/timeout/http/connectionIdleTimeout")
    extra = {"name": "more", "protocol": "HTTP", "port": 8081, "allowedRoutes": {"namespaces": {"from": "All"}}}
    model.api.patch(*timeouts[:3], {"op": "replace", "path": timeouts[3], "value": "2s"})
    model.api.patch("Gateway", "gateways", "gateway", {"op": "add", "path": "/spec/listeners/-", "value": extra})
    try:
        yield
    finally:
        model.api.patch("Gateway", "gateways", "gateway", {"op": "remove", "path": "/spec/listeners/1"})
        model.api.patch(*timeouts[:3], {"op": "replace", "path": timeouts[3], "value": "3s"})


def proxy(scene: Scene) -> None:
    """A change of the EnvoyProxy replaces the proxy's pod in the middle of a step."""
    scene.half()
    level = {"spec": {"logging": {"level": {"default": "info"}}}}
    before = proxies(scene.model)
    scene.model.api.merge("EnvoyProxy", "envoy-gateway-system", "local", level)
    try:
        scene.model.until("another proxy", lambda _: before.isdisjoint(proxies(scene.model)), 90)
    finally:
        scene.model.api.merge("EnvoyProxy", "envoy-gateway-system", "local", {"spec": {"logging": None}})
    scene.model.ask("abort")
    scene.back()


def proxies(model: Model) -> set[str]:
    """The proxy's pods, those on their way out too."""
    found = model.api.list("Pod", "envoy-gateway-system", "app.kubernetes.io/component=proxy")
    return {pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]}


def control(scene: Scene) -> None:
    """No sleep before a pod's end, a second to leave, no drain, and weights that jump: this has to lose."""
    scene.model.apply(careless(scene.model, 0))
    stable = scene.accepted()
    leave(scene.model, stable, lambda: all_lost(scene.crowd.lost()))
    jump(scene.model, stable, lambda: True)


@dataclass(frozen=True)
class Scenario:
    """One line of the table."""

    name: str
    title: str
    play: Callable[[Scene], None]
    stages: Sequence[Object] = (CANARY,)
    probation: Mapping[str, object] = field(default_factory=lambda: NONE)
    apart: bool = False
    """It changes what other scenarios need, so none plays beside it."""
    loses: bool = False
    """The control: a zero would be the failure."""
    around: Callable[[Operator], AbstractContextManager[None]] = lambda _: nullcontext()
    """What is set up before its model."""


FULL, WARM, HELD = (
    {"duration": "10m", "keep": "Full"},
    {"duration": "10m", "keep": "Warm"},
    {"duration": "20s", "holdback": 20},
)
SCENARIOS = (
    Scenario("canary", "promotion by a canary: 20, 50, 100 %", promotion),
    Scenario("shadow", "promotion by a shadow, then a canary", promotion, (SHADOW, CANARY)),
    Scenario("holdback", "canary, probation with a holdback of 20 %, its end", promotion, probation=HELD),
    Scenario("flip", "blue-green: approved and flipped, probation ends", flip, (FLIP,), {**FULL, "duration": "20s"}),
    Scenario("flip-back", "blue-green: flipped, and flipped back", flip_back, (FLIP,), FULL),
    Scenario("undo", "`seatrial undo` on probation, one pod kept warm", undo, probation=WARM),
    Scenario("abort", "abort at 50 %", abort, (HALF,)),
    Scenario("bad", "a bad model at 50 %, sent back by its own errors", bad, (HALF,)),
    Scenario("superseded", "another revision in mid-trial", superseded, (HALF,)),
    Scenario("withdrawn", "back to stable's template in mid-trial", withdrawn, (HALF,)),
    Scenario("scaled", "2, 4, 2 replicas in mid-trial", scaled, (HALF,)),
    Scenario("drained", "every pod evicted in mid-trial", drained, (HALF,)),
    Scenario("rerouted", "other host names and parents in mid-trial", rerouted, (HALF,)),
    Scenario("killed", "operator killed in mid-trial", killed, apart=True),
    Scenario("upgraded", "operator upgraded in mid-trial, and back", upgraded, (HALF,), apart=True),
    Scenario("gateway", "gateway: a listener and timeouts changed in mid-trial", gateway, (HALF,), apart=True),
    Scenario("proxy", "gateway: its proxy replaced in mid-trial", proxy, (HALF,), apart=True),
    Scenario(
        "control",
        "**control**: precautions off, has to lose",
        control,
        apart=True,
        loses=True,
        around=without_precautions,
    ),
)


@dataclass(frozen=True)
class Kind:
    """What came of one kind of request."""

    sent: int
    lost: int
    """Without those that the bad revision answered wrongly."""
    reasons: Mapping[str, int]
    longest: float
    """Seconds to the latest answer."""
    wrong: int
    """Answered wrongly by the bad revision itself."""
    first: Sequence[str]
    """The first losses, for a person."""

    @staticmethod
    def of(report: Report, bad: str) -> Kind:
        """The bad revision's own answers are apart: those in which the server says so, not the proxy in its name."""
        told = [loss for loss in report.losses if not (bad and loss.revision == bad and OWN in loss.detail)]
        wrong = len(report.losses) - len(told)
        reasons = {**report.lost, "status": report.lost.get("status", 0) - wrong}
        return Kind(
            report.sent,
            report.lost_total - wrong,
            {reason: count for reason, count in reasons.items() if count},
            report.latency.get("max", 0),
            wrong,
            [loss.text().strip() for loss in told[:10]],
        )


@dataclass(frozen=True)
class Result:
    """What came of a scenario."""

    title: str
    kinds: Mapping[str, Kind]
    seconds: float
    day: str
    where: str
    loses: bool
    """It is the control."""
    error: str = ""
    """Why it was not played to its end."""

    @staticmethod
    def parse(value: Mapping[str, Any]) -> Result:
        kinds = {name: Kind(**kind) for name, kind in value["kinds"].items()}
        return Result(**{**value, "kinds": kinds})

    @property
    def lost(self) -> int:
        return sum(kind.lost for kind in self.kinds.values())

    @property
    def failed(self) -> bool:
        """A request was lost where none may be; the control lost too little; or nothing was seen."""
        lost = {name: kind.lost for name, kind in self.kinds.items()}
        unseen = bool(self.error) or not all(kind.sent for kind in self.kinds.values())
        return unseen or (not all_lost(lost) if self.loses else any(lost.values()))

    def row(self) -> str:
        """Its line of the table."""
        cells = [self.title]
        cells += [f"{kind.lost:,} of {kind.sent:,}" for kind in self.kinds.values()]
        reasons: dict[str, int] = {}
        for kind in self.kinds.values():
            for reason, count in kind.reasons.items():
                reasons[reason] = reasons.get(reason, 0) + count
        wrong = sum(kind.wrong for kind in self.kinds.values())
        told = [f"{count} {reason}" for reason, count in reasons.items()]
        cells.append(f"**{self.lost:,}**" + (f" ({', '.join(told)})" if told else ""))
        cells.append(" / ".join(f"{kind.longest:.2f}" for kind in self.kinds.values()))
        cells.append(f"{wrong:,}" if wrong else "")
        return f"| {' | '.join(cells)} |"


def played(on: Stage, scenario: Scenario, streams: float) -> Result:
    """Play one scenario under traffic."""
    began, error, bad = time.monotonic(), "", ""
    reports: dict[str, Report] = {}
    try:
        with scenario.around(on.operator), on.model(scenario.name) as model:
            drain_time = f"{streams + MARGIN:g}s"
            scene = Scene(model, on.operator, drain_time, scenario.stages, {**scenario.probation})
            scene.change(1)
            scene.first = model.stable()
            scene.met.add(scene.first)
            with model.crowd(streams, QUICK if scenario.loses else 1) as crowd:
                scene.crowd = crowd
                time.sleep(LEAD)
                try:
                    scenario.play(scene)
                finally:
                    reports, bad = crowd.stop(), scene.bad
            error = "" if scenario.loses else unmet(reports, scene.met)
    except Exception as problem:  # noqa: BLE001 - the other scenarios still have something to tell
        error = f"{type(problem).__name__}: {problem}"
    kinds = {name: Kind.of(report, bad) for name, report in reports.items()}
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    took = round(time.monotonic() - began, 1)
    return Result(scenario.title, kinds, took, day, where(on.operator.api), scenario.loses, error)


def unmet(reports: Mapping[str, Report], revisions: set[str]) -> str:
    """Which revisions answered nothing of a kind, in a sentence; empty if there is none."""
    found = [(r, kind) for kind, report in reports.items() for r in sorted(revisions) if not report.revisions.get(r)]
    return "; ".join(f"revision {revision} answered nothing of the kind {kind}" for revision, kind in found)


def where(api: Api) -> str:
    """Machine and versions, in a line."""
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) / 2**20
    kubernetes = api.list("Node", "")[0]["status"]["nodeInfo"]["kubeletVersion"]
    pods = api.list("Pod", "envoy-gateway-system")
    tags = {container["image"].split("/")[-1] for pod in pods for container in pod["spec"]["containers"]}
    proxies = ", ".join(sorted(tag.replace(":", " ") for tag in tags))
    commit = subprocess.run(["git", "describe", "--always"], cwd=ROOT, capture_output=True, text=True, check=True)
    return (
        f"{os.cpu_count()} cores and {memory:.0f} GiB; kubernetes {kubernetes}, {proxies}, "
        f"seatrial {__version__} ({commit.stdout.strip()})"
    )


def keep(name: str, result: Result) -> None:
    """Keep what came of a scenario, for the page."""
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")


def say(name: str, result: Result) -> None:
    """Say what came of a scenario."""
    kinds = ", ".join(f"{kind} {found.lost} of {found.sent}" for kind, found in result.kinds.items())
    print(f"{'FAILED' if result.failed else 'as wanted'}  {name}  {result.seconds:.0f} s  lost: {kinds}", flush=True)
    for line in [line for found in result.kinds.values() for line in found.first] + result.error.splitlines():
        print(f"    {line}", flush=True)


def write(scenarios: Sequence[Scenario]) -> None:
    """Write the table into the page, from the latest result of every scenario; not while one is missing."""
    kept = {s.name: KEPT / f"{s.name}.json" for s in scenarios}
    missing = [name for name, file in kept.items() if not file.exists()]
    if missing:
        print(f"{PAGE.name} is not written: play {', '.join(missing)} too", flush=True)
        return
    results = [Result.parse(json.loads(file.read_text(encoding="utf-8"))) for file in kept.values()]
    kinds = [*results[0].kinds]
    header = ["", *(f"{kind}: lost of sent" for kind in kinds), "lost", "longest answers, s", "wrong by the model"]
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}", *(result.row() for result in results)]
    lines += ["", *sorted({f"{result.day}, {result.where}." for result in results})]
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + after, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lost", description=__doc__)
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"scenarios: any of {names} (default: all)")
    parser.add_argument(
        "--streams", type=float, default=MINUTE, help="seconds that a stream takes (default 60; others do not count)"
    )
    parser.add_argument("--at-once", type=int, default=3, help="scenarios side by side, where they can (default 3)")
    parser.add_argument("--cluster", default="bench", help="the cluster's name; used if it is up (default bench)")
    args = parser.parse_args()
    unknown = set(args.names) - {scenario.name for scenario in SCENARIOS}
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {names}")
    chosen = [scenario for scenario in SCENARIOS if not args.names or scenario.name in args.names]
    failed: list[str] = []

    def play(scenario: Scenario) -> None:
        result = played(on, scenario, args.streams)
        say(scenario.name, result)
        if args.streams == MINUTE:
            keep(scenario.name, result)
        if result.failed:
            failed.append(scenario.name)

    with stage(args.cluster) as on:
        with ThreadPoolExecutor(args.at_once) as pool:
            list(pool.map(play, (scenario for scenario in chosen if not scenario.apart)))
        for scenario in (scenario for scenario in chosen if scenario.apart):
            play(scenario)
    if args.streams == MINUTE:
        write(SCENARIOS)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
