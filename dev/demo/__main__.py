"""``python3 -m dev.demo``."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dev import cluster
from dev.demo import ground, table
from dev.demo.breach import first_breach, parse_time
from dev.demo.script import ACTS, HOST, INTRO, MODEL, NAMESPACE, NEXT, RATE, Act
from dev.demo.watch import Resource, Watch
from dev.errors import DevError
from dev.models import images as models
from dev.progress import say
from dev.traffic import Request, TrafficClient

EXAMPLES = ground.ROOT / "examples" / "demo"


def main(argv: Sequence[str] | None = None) -> int:
    """Play it; 0 if every act ended as it should and no request was lost."""
    parser = argparse.ArgumentParser(
        prog="python3 -m dev.demo", description="The main job on a real cluster, in minutes."
    )
    parser.add_argument("--name", default="demo", help="the cluster's name (default: demo)")
    parser.add_argument("--keep", action="store_true", help="leave it running at the end; KEEP=1 does the same")
    args = parser.parse_args(argv)
    keep = args.keep or os.environ.get("KEEP", "") not in {"", "0"}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _demo(args.name, keep)
    except DevError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


def _demo(name: str, keep: bool) -> int:
    leaves = f"the cluster {name!r} running (KEEP=1)" if keep else "nothing but the cache"
    intro = INTRO.format(rate=RATE, where="{where}", leaves=leaves, **ground.expectations())
    # Looking for a container engine may take seconds, so everything else is said first.
    before, after = intro.split("{where}")
    print(before, end="", flush=True)
    print(ground.where() + after, flush=True)
    over = False
    try:
        ground.environment()
        here = ground.bring_up(name)
        code = _play(here)
        over = True
    finally:
        if not (keep and over):
            with _undisturbed():
                say("cleaning up")
                cluster.down(name)
    if keep:
        print(_next_steps(here))
    return code


def _play(here: cluster.Cluster) -> int:
    kubectl = here.kubectl()
    kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    kubectl.run("create", "namespace", NAMESPACE)
    for act in ACTS:
        kubectl.run("apply", "-f", "-", stdin=_recording(act.version))
    endings: list[table.Ending] = []
    watch: Watch | None = None
    traffic: TrafficClient | None = None
    try:
        for act in ACTS:
            print(f"\n━━ {act.version}: {act.what}\n", flush=True)
            began = time.time()
            kubectl.run("apply", "-f", str(EXAMPLES / f"{act.version}.yaml"))
            watch = watch or Watch(here, NAMESPACE, MODEL)
            with _live_view(here):
                resource = _end_of(act, watch)
            endings.append(_ending(here, act, watch, resource, time.time() - began))
            traffic = traffic or _traffic(here)
        time.sleep(2)
    finally:
        if watch is not None:
            watch.close()
        report = traffic.stop() if traffic is not None else None
    assert report is not None
    print(f"\n━━ what came of it\n\n{table.text(report, endings)}\n", flush=True)
    failed = [e for e in endings if not e.as_planned]
    for e in failed:
        print(f"error: {e.act.version} was to end with {e.act.reason}, and ended with {e.reason}", file=sys.stderr)
    seen = table.met(report, endings)
    for sentence in seen:
        print(f"error: {sentence}", file=sys.stderr)
    if table.lost(report, endings):
        print(f"error: requests were lost\n{report.text()}", file=sys.stderr)
        return 1
    return 1 if failed or seen else 0


def _end_of(act: Act, watch: Watch) -> Resource:
    """Wait until the trial of this act has ended and only stable's pods are left."""

    def over(resource: Resource) -> bool:
        status = resource.get("status", {})
        history = status.get("history", [])
        return bool(
            status.get("observedGeneration") == resource["metadata"]["generation"]
            and status.get("phase") in {"Stable", "RolledBack", "Failed"}
            and history
            and history[0].get("modelVersion") == act.version
            and [r["role"] for r in status.get("revisions", [])] == ["stable"]
        )

    return watch.until(f"the end of {act.version}", over, act.seconds)


def _ending(here: cluster.Cluster, act: Act, watch: Watch, resource: Resource, seconds: float) -> table.Ending:
    entry = resource["status"]["history"][0]
    revision = entry["revision"]
    ending = table.Ending(act, revision, seconds, entry["outcome"], entry["reason"], entry["message"])
    rollout = watch.back.get(revision)
    if entry["reason"] != "CheckFailed" or rollout is None or not rollout["back"].get("minimumAt"):
        return ending
    source = next((c["source"] for c in resource["status"]["checks"] if c["name"] == "errors"), "Gateway")
    breach = first_breach(
        here.prometheus_url,
        source,
        namespace=NAMESPACE,
        model=MODEL,
        revision=revision,
        slot=watch.slots.get(revision, 1),
        since=parse_time(entry["started"]),
    )
    if breach is None:
        return ending
    to_minimum = (parse_time(rollout["back"]["minimumAt"]) - breach).total_seconds()
    return table.Ending(act, revision, seconds, entry["outcome"], entry["reason"], entry["message"], to_minimum)


def _traffic(here: cluster.Cluster) -> TrafficClient:
    """Start the constant stream."""
    host, port = here.gateway_address.rsplit(":", 1)
    lines = (models.trained() / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    requests = [Request.parse(line) for line in lines]
    print(f"\n{RATE} requests a second to {HOST} from now on, {len(requests)} different rows", flush=True)
    anywhere = here.provider == "named"
    path = f"/v2/models/{MODEL}/infer"
    return TrafficClient((host, int(port)), HOST, path, requests, RATE, seconds=3600, anywhere=anywhere).start()


def _recording(version: str) -> str:
    """The rows with the training pipeline's own answers, as a ConfigMap."""
    folder = models.trained()
    argv = [str(ground.BIN / "seatrial"), "golden", "record", "--rows", str(folder / "rows.csv")]
    argv += ["--predictions", str(folder / f"{version}.csv"), "--model", MODEL, "--model-version", version]
    argv += ["--name", f"{MODEL}-golden-{version}", "-n", NAMESPACE]
    made = subprocess.run(argv, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise DevError(f"Recording the requests of {version} failed: {made.stderr.strip()}")
    return made.stdout


@contextmanager
def _live_view(here: cluster.Cluster) -> Iterator[None]:
    """`seatrial get -w` for as long as the act lasts, and a moment longer."""
    argv = [str(ground.BIN / "seatrial"), "get", MODEL, "-n", NAMESPACE, "-w", "--kubeconfig", str(here.kubeconfig)]
    sys.stdout.flush()
    # In a session of its own, or a Ctrl-C would reach it twice.
    view = subprocess.Popen(argv, start_new_session=True)
    try:
        yield
        time.sleep(1.5)
    finally:
        view.send_signal(signal.SIGINT)
        try:
            view.wait(5)
        except subprocess.TimeoutExpired:
            view.kill()
            view.wait()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not stop the cleaning up."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _next_steps(here: cluster.Cluster) -> str:
    return NEXT.format(
        python=Path(sys.executable).name,
        cluster=here.name,
        seatrial=ground.seatrial(),
        model=MODEL,
        namespace=NAMESPACE,
        gateway=here.gateway_address,
        host=HOST,
        requests=models.trained() / "requests.jsonl",
    )


if __name__ == "__main__":
    sys.exit(main())
