"""Clusters by name, whoever provides them.

    cluster = up("tests")        # or what is already up
    down("tests")

The provider is chosen here: a cluster that the user names, else kind where a
container engine answers, else the sandbox. `$SEATRIAL_PROVIDER` overrides it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from dev import addons, images, kind, progress, sandbox
from dev.cache import cache_dir, lock, remove_tree
from dev.errors import DevError

PROVIDERS = ("named", "kind", "sandbox")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?")
_RECORD = "cluster.json"


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up."""

    name: str
    provider: str
    kubeconfig: Path
    """An administrator's kubeconfig."""
    gateway_address: str
    """IP:port of the gateway `gateways/gateway`, reachable from this machine."""
    prometheus_url: str
    """Prometheus, reachable from this machine; without a slash at the end."""
    audit_log: Path | None = None
    """The API server's audit log, one JSON line for each request; sandbox only."""
    logs: Path | None = None
    """The folder of the node's logs; sandbox only."""

    def kubectl(self) -> addons.Kubectl:
        """kubectl for this cluster."""
        return addons.Kubectl(self.kubeconfig)

    def environment(self) -> dict[str, str]:
        """What other programs are told about it."""
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "SEATRIAL_CLUSTER": self.name,
            "SEATRIAL_GATEWAY_ADDRESS": self.gateway_address,
            "SEATRIAL_PROMETHEUS_URL": self.prometheus_url,
        }

    def memory_bytes(self) -> int | None:
        """What the whole cluster uses without the page cache; sandbox only."""
        return sandbox.memory_bytes(_state(self.name))


def up(name: str, provider: str | None = None) -> Cluster:
    """Bring a cluster up, or report the one that is up already.

    One that is half up or has died is removed and started again.
    """
    _check(name)
    with lock(f"cluster-{name}", f"cluster {name}: another process is working on it, waiting"):
        found = find(name)
        if found is not None and _alive(found):
            return found
        chosen = provider or choose_provider()
        if chosen not in PROVIDERS:
            raise DevError(f"There is no provider {chosen!r}. There are: {', '.join(PROVIDERS)}.")
        _remove(name, chosen if found is None else found.provider)
        # Before the step, whose time it would hide: the first time it builds
        # for minutes, each part with a line of its own.
        if chosen == "sandbox":
            sandbox.prepare()
        elif chosen == "kind":
            kind.prepare()
        with progress.step(f"cluster {name} ({chosen})", 20 if chosen == "sandbox" else 90):
            cluster = _start(name, chosen)
        _store(cluster)
        return cluster


def down(name: str) -> bool:
    """Remove a cluster with all that it left, also after a killed `up`; false if there was none."""
    _check(name)
    with lock(f"cluster-{name}", f"cluster {name}: another process is working on it, waiting"):
        existed = _state(name).exists() or sandbox.claimed(_state(name)) is not None
        found = find(name)
        _remove(name, found.provider if found else None)
    return existed


def load(name: str, archive: Path) -> None:
    """Load an image from its OCI archive into the cluster."""
    cluster = get(name)
    if cluster.provider == "sandbox":
        part = sandbox.claimed(_state(name))
        if part is None:
            raise DevError(f"The cluster {name} is not running. Start it: python3 -m dev cluster up {name}")
        sandbox.load(part, archive)
    elif cluster.provider == "kind":
        kind.load(name, archive)
    else:
        raise DevError("Images cannot be loaded into a cluster of yours; push them to a registry that it can reach.")


def load_image(name: str, image: str) -> str:
    """Load one of our images, building it on first use; gives its tag."""
    load(name, images.archive(image))
    return images.IMAGES[image].tag


def find(name: str) -> Cluster | None:
    """The stored record of a cluster that came up, alive or not."""
    try:
        content = json.loads((_state(name) / _RECORD).read_text(encoding="utf-8"))
        for key in ("kubeconfig", "audit_log", "logs"):
            content[key] = Path(content[key]) if content[key] else None
        return Cluster(**content)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def get(name: str) -> Cluster:
    """The record of a cluster, or a `DevError` that says how to start it."""
    _check(name)
    found = find(name)
    if found is None:
        raise DevError(f"There is no cluster {name}. Start it: python3 -m dev cluster up {name}")
    return found


def status(name: str) -> str:
    """``up``, ``dead`` (came up and does not answer), ``partial`` (never came up) or ``absent``."""
    found = find(name)
    if found is not None:
        return "up" if _alive(found) else "dead"
    return "partial" if _state(name).exists() else "absent"


def names() -> list[str]:
    """All clusters of this cache, in whatever state."""
    return sorted(path.name for path in (cache_dir() / "clusters").glob("*") if path.is_dir())


def choose_provider() -> str:
    """Which provider this machine gets."""
    override = os.environ.get("SEATRIAL_PROVIDER")
    if override:
        return override
    if os.environ.get("SEATRIAL_CLUSTER_KUBECONFIG"):
        return "named"
    return "kind" if kind.engine() else "sandbox"


def _start(name: str, provider: str) -> Cluster:
    state = _state(name)
    state.mkdir(parents=True)
    if provider == "named":
        return _named(name)
    if provider == "kind":
        kubeconfig, gateway, prometheus = kind.up(name, state)
        return Cluster(name, provider, kubeconfig, gateway, prometheus)
    kubeconfig = sandbox.up(state)
    kubectl = addons.Kubectl(kubeconfig)
    service = addons.gateway_service(kubectl)
    address = kubectl.run("get", "service", "-n", "monitoring", "prometheus", "-o", "jsonpath={.spec.clusterIP}")
    gateway, prometheus = f"{service['ip']}:{service['port']}", f"http://{address}:9090"
    return Cluster(name, provider, kubeconfig, gateway, prometheus, state / "audit.log", state / "logs")


def _named(name: str) -> Cluster:
    """The user's own cluster; we start nothing in it and stop nothing."""
    kubeconfig = os.environ.get("SEATRIAL_CLUSTER_KUBECONFIG", "")
    if not kubeconfig or not Path(kubeconfig).is_file():
        raise DevError("SEATRIAL_CLUSTER_KUBECONFIG has to name the kubeconfig of your cluster.")
    if os.environ.get("SEATRIAL_CLUSTER_CONSENT") != "yes":
        raise DevError(
            f"Tests and the demo create and delete objects in the cluster of {kubeconfig}. "
            "Set SEATRIAL_CLUSTER_CONSENT=yes if they may."
        )
    gateway, prometheus = os.environ.get("SEATRIAL_GATEWAY_ADDRESS"), os.environ.get("SEATRIAL_PROMETHEUS_URL")
    if not gateway or not prometheus:
        raise DevError(
            "Your cluster needs the Gateway gateways/gateway and a Prometheus. Say how this machine reaches them: "
            "SEATRIAL_GATEWAY_ADDRESS=IP:PORT and SEATRIAL_PROMETHEUS_URL=http://…"
        )
    return Cluster(name, "named", Path(kubeconfig).resolve(), gateway, prometheus.rstrip("/"))


def _alive(cluster: Cluster) -> bool:
    if cluster.provider == "sandbox":
        return sandbox.alive(_state(cluster.name))
    try:
        cluster.kubectl().run("get", "--raw", "/readyz", "--request-timeout=5s")
    except DevError:
        return False
    return True


def _remove(name: str, provider: str | None) -> None:
    state = _state(name)
    if provider == "kind" or (provider is None and (state / kind.MARKER).exists()):
        kind.down(name)
    if provider != "named" and sandbox.claimed(state) is not None:
        sandbox.down(state)
    if state.exists():
        remove_tree(state)


def _store(cluster: Cluster) -> None:
    content = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(cluster).items()}
    folder = _state(cluster.name)
    temporary = folder / f"{_RECORD}.new"
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    # Written last and at once: a record means that the cluster came up.
    temporary.rename(folder / _RECORD)


def _state(name: str) -> Path:
    return cache_dir() / "clusters" / name


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise DevError(f"{name!r} is no name for a cluster: up to 30 small letters, digits and dashes.")
