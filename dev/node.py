"""The first process of a sandbox: makes a machine of its namespaces, and runs a node there.

Started by `dev.sandbox` inside fresh mount, process, host name and network
namespaces. Killing this process ends every process and every mount of the
cluster, because the kernel ends the namespaces with it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from dev import cgroups, tools
from dev.errors import DevError
from dev.kube import ApiServer
from dev.net import Slice
from dev.pki import Authority, KeyPair
from dev.supervise import Supervisor

NODE_NAME = "node"
CONTAINERD_SOCKET = Path("/run/containerd/containerd.sock")
FAILED = "failed"
"""The file in the state folder that says why the node did not start."""

_LIBC = ctypes.CDLL(None, use_errno=True)
_MS_BIND = 4096
_O_PATH = getattr(os, "O_PATH", 0)


@dataclass(frozen=True)
class NodeConfig:
    """What the node has to know, as JSON in `<state>/node.json`."""

    index: int
    state: str
    binaries: dict[str, str]
    """Where each tool is. Found outside, because the cache may have to build them."""

    def write(self) -> None:
        """Store it in the state folder."""
        (Path(self.state) / "node.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @staticmethod
    def read(state: Path) -> NodeConfig:
        """Read what `write` stored."""
        return NodeConfig(**json.loads((state / "node.json").read_text(encoding="utf-8")))


def api_server(state: Path, part: Slice) -> ApiServer:
    """The API server of a sandbox; it has its own network, so its ports are fixed."""
    return ApiServer(state, part.node, 6443, 2379, part.services)


def write_pki(state: Path, part: Slice) -> tuple[Authority, KeyPair]:
    """All certificates and kubeconfigs of the node; gives the administrator's."""
    server = api_server(state, part)
    authority = server.create_pki((f"IP:{part.api_service}", f"DNS:{NODE_NAME}"))
    authority.issue("kubelet-client", "/O=system:masters/CN=apiserver-kubelet-client")
    aggregation = Authority.create(server.pki / "aggregation")
    aggregation.issue("client", "/CN=aggregator")
    for name, subject in (
        ("controller-manager", "/CN=system:kube-controller-manager"),
        ("scheduler", "/CN=system:kube-scheduler"),
        ("kube-proxy", "/CN=system:kube-proxy"),
    ):
        pair = authority.issue(name, subject)
        authority.kubeconfig(server.pki / f"{name}.kubeconfig", server.url, pair)
    kubelet = authority.issue(
        "kubelet", f"/O=system:nodes/CN=system:node:{NODE_NAME}", (f"IP:{part.node}", f"DNS:{NODE_NAME}")
    )
    authority.kubeconfig(server.pki / "kubelet.kubeconfig", server.url, kubelet)
    return authority, authority.issue("admin", "/O=system:masters/CN=admin")


class Node:
    """Starts the parts in the order they need, then keeps them running."""

    def __init__(self, config: NodeConfig) -> None:
        self.state = Path(config.state)
        self.part = Slice(config.index)
        self.binaries = {name: Path(path) for name, path in config.binaries.items()}
        self.server = api_server(self.state, self.part)
        folders = os.pathsep.join(str(path.parent) for path in self.binaries.values())
        # containerd finds its shim, and kube-proxy finds nft, by PATH.
        search = f"{folders}:{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
        self.parts = Supervisor(self.state / "logs", {"PATH": search})

    def run(self) -> None:
        """Never returns: the cluster lives as long as this process."""
        cgroups.enter(self.part.name)
        self._make_machine()
        self._start()
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        while True:
            self._reap()
            for name in self.parts.restart_ended():
                print(f"{name} ended and was started again", flush=True)
            time.sleep(1)

    def _make_machine(self) -> None:
        """Hide the places of the host that a node would write to, and name the machine."""
        socket.sethostname(NODE_NAME)
        keep = [Path(path) for path in sorted({str(self.state), *(str(p.parent) for p in self.binaries.values())})]
        for place in ("/run", "/var/lib", "/var/log"):
            _hide(Path(place), keep)
        fakes = Path("/run/kernel")
        fakes.mkdir()
        # The kubelet writes these settings of the kernel, which has only one
        # copy for the whole machine. It gets files to write to instead.
        for setting in ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"):
            _shadow(Path("/proc/sys") / setting, fakes / setting.replace("/", "."))
        for setting in ("kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes"):
            _shadow(Path("/proc/sys") / setting, fakes / setting.replace("/", "."))
        for setting in ("net/ipv4/ip_forward", "net/ipv6/conf/all/disable_ipv6"):
            path = Path("/proc/sys") / setting
            if path.exists():
                path.write_text("1")

    def _start(self) -> None:
        start = self.parts.start
        admin = KeyPair(self.server.pki / "admin.key", self.server.pki / "admin.crt")
        start("containerd", [self.binaries["containerd"], "--config", self._containerd_config()])
        start("etcd", self.server.etcd_command(self.binaries["etcd"]))
        start("kube-apiserver", self._apiserver_command())
        self.parts.wait_until("containerd", CONTAINERD_SOCKET.exists, 30)
        self.parts.wait_until("kube-apiserver", lambda: self.server.ready(admin), 60)
        # Not earlier: the controller-manager exits when a ConfigMap that the
        # API server makes at its start is missing.
        start("kube-controller-manager", self._controller_manager_command())
        start("kube-scheduler", self._scheduler_command())
        start("kubelet", self._kubelet_command())
        start("kube-proxy", self._proxy_command())

    def _reap(self) -> None:
        """Collect orphans, as a first process must; our own are left to the supervisor."""
        own = {process.pid for process in self.parts.processes.values()}
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid in own:
                return
            os.waitpid(found.si_pid, 0)

    def _apiserver_command(self) -> list[str | Path]:
        pki, aggregation = self.server.pki, self.server.pki / "aggregation"
        policy = self.state / "audit-policy.json"
        rule = {"level": "Metadata"}
        content = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [rule],
        }
        policy.write_text(json.dumps(content), encoding="utf-8")
        return [
            *self.server.command(self.binaries["kube-apiserver"]),
            f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'kubelet-client.key'}",
            # The node's name is in no DNS.
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            f"--proxy-client-cert-file={aggregation / 'client.crt'}",
            f"--proxy-client-key-file={aggregation / 'client.key'}",
            f"--requestheader-client-ca-file={aggregation / 'ca.crt'}",
            "--requestheader-allowed-names=aggregator",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            "--enable-aggregator-routing=true",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.state / 'audit.log'}",
            "--audit-log-maxsize=1000",
        ]

    def _controller_manager_command(self) -> list[str | Path]:
        pki = self.server.pki
        kubeconfig = pki / "controller-manager.kubeconfig"
        return [
            self.binaries["kube-controller-manager"],
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--service-account-private-key-file={pki / 'service-accounts.key'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            # With the defaults, the controllers are what is slow with many objects.
            "--kube-api-qps=400",
            "--kube-api-burst=800",
            "--concurrent-replicaset-syncs=20",
            "--concurrent-deployment-syncs=20",
            # Every fifteen seconds otherwise, most of which a test of an autoscaler would wait.
            "--horizontal-pod-autoscaler-sync-period=5s",
        ]

    def _scheduler_command(self) -> list[str | Path]:
        kubeconfig = self.server.pki / "scheduler.kubeconfig"
        return [
            self.binaries["kube-scheduler"],
            f"--kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--kube-api-qps=400",
            "--kube-api-burst=800",
        ]

    def _kubelet_command(self) -> list[str | Path]:
        pki = self.server.pki
        resolv = self.state / "resolv.conf"
        resolv.write_text("", encoding="utf-8")
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.part.node,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / "kubelet.crt"),
            "tlsPrivateKeyFile": str(pki / "kubelet.key"),
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.part.name}",
            "failCgroupV1": False,
            "enforceNodeAllocatable": [],
            "failSwapOn": False,
            "resolvConf": str(resolv),
            "clusterDNS": [self.part.dns_service],
            "clusterDomain": "cluster.local",
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            # Images cannot be fetched again, so the kubelet must never remove one.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "podLogsDir": str(self.state / "pod-logs"),
            "volumePluginDir": str(self.state / "kubelet" / "plugins"),
            "registerNode": True,
            "maxPods": 250,
            "serializeImagePulls": False,
            "kubeAPIQPS": 100,
            "kubeAPIBurst": 200,
        }
        path = self.state / "kubelet.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return [
            self.binaries["kubelet"],
            f"--config={path}",
            f"--kubeconfig={pki / 'kubelet.kubeconfig'}",
            f"--root-dir={self.state / 'kubelet'}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={self.part.node}",
        ]

    def _proxy_command(self) -> list[str | Path]:
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(self.server.pki / "kube-proxy.kubeconfig")},
            "hostnameOverride": NODE_NAME,
            "bindAddress": self.part.node,
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            # The limit of tracked connections belongs to the machine.
            "conntrack": {"maxPerCore": 0, "min": 0},
        }
        path = self.state / "kube-proxy.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return [self.binaries["kube-proxy"], f"--config={path}"]

    def _containerd_config(self) -> Path:
        cni = self.state / "cni"
        cni.mkdir(exist_ok=True)
        # Not a bridge: replies between two pods on one bridge would pass by
        # the rules that translate Service addresses.
        plugin = {
            "type": "ptp",
            "ipMasq": False,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": self.part.pods}]], "routes": [{"dst": "0.0.0.0/0"}]},
        }
        network = {"cniVersion": "1.0.0", "name": "pods", "plugins": [plugin]}
        (cni / "10-pods.conflist").write_text(json.dumps(network), encoding="utf-8")
        runc = tools.find_command("runc")
        path = self.state / "containerd.toml"
        path.write_text(
            f"""\
version = 3
root = "{self.state / "containerd"}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing"]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
path = "{self.state / "opt"}"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "localhost/pause:1"

[plugins."io.containerd.cri.v1.runtime"]
# Without it, a machine that may not lower OOM scores fails every pod with
# "can't get final child's PID from pipe: EOF".
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "{cni}"

[plugins."io.containerd.cri.v1.runtime".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false
""",
            encoding="utf-8",
        )
        return path


def _mount(source: str, target: Path, kind: str, flags: int = 0) -> None:
    if _LIBC.mount(source.encode(), str(target).encode(), kind.encode(), flags, None) != 0:
        number = ctypes.get_errno()
        raise DevError(f"Mounting {kind or source} on {target} failed: {os.strerror(number)}.")


def _hide(place: Path, keep: list[Path]) -> None:
    """Put an empty folder over `place`, with the folders to keep mounted back into it."""
    held = [(path, os.open(path, _O_PATH)) for path in keep if path.is_relative_to(place)]
    _mount("tmpfs", place, "tmpfs")
    for path, descriptor in held:
        path.mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", path, "", _MS_BIND)
        os.close(descriptor)


def _shadow(file: Path, copy: Path) -> None:
    """Put a copy over a file, so that writing to it changes only the copy."""
    if file.exists():
        copy.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
        _mount(str(copy), file, "", _MS_BIND)


def main() -> None:
    """``python3 -m dev.node STATE``."""
    state = Path(sys.argv[1])
    try:
        Node(NodeConfig.read(state)).run()
    except BaseException as error:
        (state / FAILED).write_text(str(error) or repr(error), encoding="utf-8")
        raise


if __name__ == "__main__":
    main()
