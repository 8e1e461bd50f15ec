"""Add-ons that a cluster has only when somebody asks: metrics-server, and KEDA.

They are built for minutes the first time, and most of what runs on a cluster needs neither. `ensure` builds, loads
and installs one, waits until it works, and does nothing where it works already.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dev import addons, cluster, images, progress, tools
from dev.api import Api
from dev.cache import lock
from dev.errors import DevError

_BETWEEN = "\n---\n"


def _nothing() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Extra:
    """One add-on: `dev/manifests/<name>.yaml` and what it needs."""

    name: str
    images: tuple[str, ...]
    deployments: tuple[tuple[str, str], ...]
    """Namespace and name of what has to be rolled out."""
    api: str
    """The APIService through which it answers."""
    before: Callable[[], tuple[str, ...]] = _nothing
    """Manifests that its own one builds on."""
    definitions: Callable[[], tuple[str, ...]] = _nothing
    """CustomResourceDefinitions."""


def _keda_definitions() -> tuple[str, ...]:
    folder = tools.entry("keda") / "share" / "config" / "crd" / "bases"
    return tuple(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.yaml")))


def _keda_roles() -> tuple[str, ...]:
    folder = tools.entry("keda") / "share" / "config" / "rbac"
    namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: keda}\n"
    return (namespace, *((folder / name).read_text(encoding="utf-8") for name in ("role.yaml", "role_binding.yaml")))


EXTRAS: dict[str, Extra] = {
    extra.name: extra
    for extra in (
        Extra(
            "metrics-server",
            ("metrics-server",),
            (("kube-system", "metrics-server"),),
            "v1beta1.metrics.k8s.io",
        ),
        Extra(
            "keda",
            ("keda", "keda-adapter"),
            (("keda", "keda-operator"), ("keda", "keda-metrics-apiserver")),
            "v1beta1.external.metrics.k8s.io",
            _keda_roles,
            _keda_definitions,
        ),
    )
}


def prepare(extra: str) -> list[Path]:
    """Build what an add-on is installed from, and give the archives of its images."""
    wanted = EXTRAS.get(extra)
    if wanted is None:
        raise DevError(f"There is no add-on {extra!r}. There are: {', '.join(EXTRAS)}.")
    return [images.archive(image) for image in wanted.images]


def ensure(name: str, extra: str, seconds: float = 180) -> None:
    """See to it that a cluster has an add-on that works."""
    archives = prepare(extra)
    wanted = EXTRAS[extra]
    kubectl = cluster.get(name).kubectl()
    with lock(f"cluster-{name}-{extra}", f"{extra}: another process is installing it, waiting"):
        if _answers(kubectl, wanted):
            return
        definitions = wanted.definitions()
        with progress.step(f"{extra} in cluster {name}", 30):
            for archive in archives:
                cluster.load(name, archive)
            if definitions:
                Api.of(kubectl.run("config", "view", "--raw", "--minify", "-o", "json")).create_definitions(definitions)
            own = addons.manifest(extra, addons.Exposure().values())
            kubectl.apply(_BETWEEN.join([*wanted.before(), own]))
            limit = f"--timeout={seconds:.0f}s"
            for namespace, deployment in wanted.deployments:
                kubectl.run("rollout", "status", limit, "-n", namespace, f"deployment/{deployment}")
            kubectl.run("wait", "--for=condition=Available", limit, f"apiservice/{wanted.api}")


def _answers(kubectl: addons.Kubectl, extra: Extra) -> bool:
    """Whether it was installed before, by us or by whoever owns the cluster."""
    try:
        found = json.loads(kubectl.run("get", "apiservice", extra.api, "-o", "json"))
    except DevError:
        return False
    conditions = found.get("status", {}).get("conditions", [])
    return any(entry["type"] == "Available" and entry["status"] == "True" for entry in conditions)
