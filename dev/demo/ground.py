"""What the play needs: the project's environment, a cluster, the images, the operator."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from dev import cluster, images, tools
from dev.cache import cache_dir
from dev.errors import DevError
from dev.models import images as models
from dev.progress import run_logged, say, step

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = ROOT / ".venv" / "bin"
OPERATOR_NAMESPACE = "seatrial-system"

COLD_GIGABYTES = 20
"""Cache, Go's own caches and the running cluster, when nothing is there yet."""
WARM_GIGABYTES = 4
"""The running cluster's images and data."""


def warm() -> bool:
    """Whether all that takes long is in the cache."""
    keys = [tools.TOOLS[name].recipe.key for name in (*tools.NODE, "helm")]
    keys += [images.IMAGES[name].recipe.key for name in (*images.NODE_IMAGES, "mlserver")]
    return all((cache_dir() / "entries" / key).is_dir() for key in keys)


def expectations() -> dict[str, str]:
    """How long it takes and how much disk, as sentences."""
    ready = warm()
    free = shutil.disk_usage(_existing(cache_dir())).free / 1e9
    needed = WARM_GIGABYTES if ready else COLD_GIGABYTES
    return {
        "time": "about 1 min to set up, then 5 min" if ready else "about 20 min to build everything once, then 6 min",
        "disk": f"up to {needed} GB, {free:.0f} GB are free; what is built stays in {cache_dir()}",
    }


def where() -> str:
    """The provider, and what that means."""
    provider = cluster.choose_provider()
    meaning = {
        "named": "the cluster of SEATRIAL_CLUSTER_KUBECONFIG",
        "kind": "kind: a cluster in Docker or Podman",
        "sandbox": "sandbox: a node in namespaces of this machine, as root, without a container engine",
    }
    return meaning[provider]


def environment() -> None:
    """The project's own packages and scikit-learn."""
    if subprocess.run([sys.executable, "requirements/install.py", "demo"], cwd=ROOT, check=False).returncode != 0:
        raise DevError("The packages could not be installed; the reason is above.")


def bring_up(name: str) -> cluster.Cluster:
    """A cluster with the operator and the model's images in it."""
    found = cluster.up(name)
    log = cache_dir() / "logs" / "demo.log"
    # The operator's image says its own progress.
    built = subprocess.run(
        [sys.executable, "requirements/image.py", "build"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if built.returncode != 0:
        raise DevError("The operator's image could not be built; the reason is above.")
    archive = Path(built.stdout.strip().splitlines()[-1])
    with step("the operator, by its chart, and the model's images", 25):
        if found.provider == "named":
            say("a cluster of yours has to be able to pull localhost/seatrial and localhost/demo-model")
        else:
            cluster.load(name, archive)
            cluster.load(name, models.demo_archive())
        chart: list[str | Path] = [tools.path("helm"), "--kubeconfig", found.kubeconfig, "-n", OPERATOR_NAMESPACE]
        chart += ["upgrade", "--install", "seatrial", ROOT / "charts" / "seatrial", "--create-namespace", "--wait"]
        chart += ["--set", "prometheus.url=http://prometheus.monitoring:9090", "--set", "gateway=gateways/gateway"]
        # The tag is the same after a rebuild; another annotation has the pod start anew.
        chart += ["--set-string", f"podAnnotations.archive={archive.resolve().parent.name}"]
        run_logged(chart, log)
    return found


def seatrial() -> str:
    """The command line of the project."""
    return os.path.relpath(BIN / "seatrial")


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
