"""The operator in the cluster: installed by its chart from its image, killed, upgraded, misled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import dev.cluster
from dev import tools
from dev.cache import cache_dir
from dev.models.layers import derive
from tests.cluster.api import Api

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "seatrial-system"
SITE_PACKAGES = "/opt/seatrial/lib/python3.11/site-packages"
NEXT = "localhost/seatrial:next"

NEXT_VERSION = '''
"""A later version of the operator, in which every builder renders something else than today."""

import seatrial.build.deployment as deployment
import seatrial.build.route as route
import seatrial.build.service as service

_render, _http_route = deployment.render, route.http_route


def render(*args, **kwargs):
    manifest = _render(*args, **kwargs)
    template = manifest["spec"]["template"]
    template["metadata"].setdefault("annotations", {})["example.com/builder"] = "next"
    template["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 9}}}
    return manifest


def http_route(*args, **kwargs):
    manifest = _http_route(*args, **kwargs)
    manifest["metadata"]["labels"]["example.com/builder"] = "next"
    for backend in manifest["spec"]["rules"][0]["backendRefs"]:
        backend["filters"][0]["responseHeaderModifier"]["set"].append({"name": "x-builder", "value": "next"})
    return manifest


def labelled(build):
    def wrapped(*args, **kwargs):
        manifest = build(*args, **kwargs)
        manifest["metadata"]["labels"]["example.com/builder"] = "next"
        return manifest

    return wrapped


deployment.render, route.http_route = render, http_route
for name in [name for name in dir(service) if name.endswith("service")]:
    setattr(service, name, labelled(getattr(service, name)))
'''


@cache
def build() -> Path:
    """The archive of the operator's image, built from its Dockerfile as users do."""
    built = subprocess.run(
        [sys.executable, "requirements/image.py", "build"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip().splitlines()[-1]).resolve()


class Operator:
    """One installation."""

    def __init__(self, cluster: dev.cluster.Cluster, api: Api, archive: Path) -> None:
        self.cluster = cluster
        self.api = api
        self._archive = archive

    def install(self) -> None:
        """Install the chart, and wait until the operator leads."""
        settings = {
            "prometheus.url": "http://prometheus.monitoring:9090",
            "gateway": "gateways/gateway",
            "image.pullPolicy": "Never",
            "log.format": "text",
            # A changed annotation restarts it with the image that was just loaded.
            "podAnnotations.archive": self._archive.parent.name,
        }
        self._helm(settings, "--create-namespace")
        self.wait_leading()

    def upgrade(self, image: str) -> None:
        """Have the chart run another image, and wait until its operator leads."""
        repository, tag = image.rsplit(":", 1)
        before = {pod["metadata"]["uid"] for pod in self.pods()}
        self._helm({"image.repository": repository, "image.tag": tag}, "--reuse-values")
        self.wait_leading(not_in=before)

    @contextmanager
    def environment(self, **variables: str) -> Iterator[None]:
        """Run the operator with these variables for a while."""
        before = {pod["metadata"]["uid"] for pod in self.pods()}
        pairs = [{"name": name, "value": value} for name, value in variables.items()]
        self._helm_json({"env": pairs})
        self.wait_leading(not_in=before)
        try:
            yield
        finally:
            before = {pod["metadata"]["uid"] for pod in self.pods()}
            self._helm_json({"env": []})
            self.wait_leading(not_in=before)

    def next_version(self) -> str:
        """An image of an operator whose builders all changed; gives its name."""
        folder = cache_dir() / "tmp" / f"next-{os.getpid()}"
        files = folder / "files"
        files.mkdir(parents=True)
        (files / "next_version.py").write_text(NEXT_VERSION)
        (files / "next_version.pth").write_text("import next_version\n")
        derive(self._archive, {NEXT: {SITE_PACKAGES: files}}, folder / "image.tar")
        dev.cluster.load(self.cluster.name, folder / "image.tar")
        (folder / "image.tar").unlink()
        return NEXT

    @property
    def present(self) -> str:
        """The name of the image under test."""
        return f"localhost/seatrial:{_version()}"

    def pods(self) -> list[dict]:  # type: ignore[type-arg]
        pods = self.api.list("Pod", NAMESPACE, "app.kubernetes.io/name=seatrial")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    def kill(self) -> None:
        """SIGKILL to the operator's process, as the kernel does when memory is short: nothing is tidied up."""
        pod = self.pods()[0]
        uid = pod["metadata"]["uid"]
        pids = processes_of(uid)
        if pids:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        else:  # the node is another machine
            self.api.delete("Pod", NAMESPACE, pod["metadata"]["name"], gracePeriodSeconds=0)

    def wait_leading(self, seconds: float = 60, not_in: set[str] | None = None) -> None:
        """Wait until a pod of ours holds the Lease and is ready."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            lease = self.api.find("Lease", NAMESPACE, "seatrial")
            holder = ((lease or {}).get("spec") or {}).get("holderIdentity") or ""
            for pod in self.pods():
                ready = any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
                fresh = pod["metadata"]["uid"] not in (not_in or set())
                if ready and fresh and holder.startswith(pod["metadata"]["name"]):
                    return
            time.sleep(0.2)
        logs = "\n".join(self.api.log(NAMESPACE, pod["metadata"]["name"]) for pod in self.pods())
        raise AssertionError(f"no operator leads within {seconds:g} s:\n{logs}")

    def _helm(self, settings: Mapping[str, str], *flags: str) -> None:
        sets = [
            part
            for key, value in settings.items()
            for part in ("--set-string" if "Annot" in key else "--set", f"{key}={value}")
        ]
        self._run("upgrade", "--install", "seatrial", str(ROOT / "charts" / "seatrial"), *sets, *flags)

    def _helm_json(self, values: Mapping[str, object]) -> None:
        sets = [part for key, value in values.items() for part in ("--set-json", f"{key}={json.dumps(value)}")]
        self._run("upgrade", "seatrial", str(ROOT / "charts" / "seatrial"), "--reuse-values", *sets)

    def _run(self, *arguments: str) -> None:
        argv = [
            str(tools.path("helm")),
            "--kubeconfig",
            str(self.cluster.kubeconfig),
            "--namespace",
            NAMESPACE,
            *arguments,
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _version() -> str:
    from seatrial import __version__

    return __version__


def processes_of(pod_uid: str) -> list[int]:
    """Processes of this machine that run the operator in a pod."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if pod_uid in (folder / "cgroup").read_text() and b"seatrial" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
