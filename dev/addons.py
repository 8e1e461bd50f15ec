"""What every cluster runs beside Kubernetes: DNS, the gateway and Prometheus.

The manifests in `dev/manifests/` hold for the sandbox and for kind; the few
differences are the values of `Exposure`.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from dev import images, tools
from dev.api import Api
from dev.cache import Recipe, obtain
from dev.errors import DevError
from dev.progress import run_logged

MANIFESTS = Path(__file__).parent / "manifests"
GATEWAY_SYSTEM = "envoy-gateway-system"
_BETWEEN = "\n---\n"
_PROXY_LABELS = (
    "gateway.envoyproxy.io/owning-gateway-name=gateway,gateway.envoyproxy.io/owning-gateway-namespace=gateways"
)


@dataclass(frozen=True)
class Exposure:
    """How the machine reaches the gateway and Prometheus."""

    gateway_node_port: int | None = None
    """A port of the node, or None where the machine reaches Service addresses."""
    prometheus_node_port: int | None = None
    dns_service: str | None = None
    """The address that DNS shall have, or None where the cluster brings its own DNS."""

    def values(self) -> dict[str, str]:
        """What the manifests leave open."""
        port: dict[str, object] = {"name": "http", "port": 9090, "targetPort": 9090}
        patch: dict[str, object] = {}
        if self.prometheus_node_port is not None:
            port["nodePort"] = self.prometheus_node_port
        if self.gateway_node_port is not None:
            patch = {"spec": {"ports": [{"port": 80, "protocol": "TCP", "nodePort": self.gateway_node_port}]}}
        return {
            "COREDNS_IMAGE": images.IMAGES["coredns"].tag,
            "ENVOY_IMAGE": images.IMAGES["envoy"].tag,
            "PROMETHEUS_IMAGE": images.IMAGES["prometheus"].tag,
            "KEDA_ADAPTER_IMAGE": images.IMAGES["keda-adapter"].tag,
            "KEDA_IMAGE": images.IMAGES["keda"].tag,
            "METRICS_SERVER_IMAGE": images.IMAGES["metrics-server"].tag,
            "DNS_SERVICE": self.dns_service or "",
            "GATEWAY_SERVICE_TYPE": "ClusterIP" if self.gateway_node_port is None else "NodePort",
            "GATEWAY_SERVICE_PATCH": json.dumps(patch),
            "PROMETHEUS_SERVICE_TYPE": "ClusterIP" if self.prometheus_node_port is None else "NodePort",
            "PROMETHEUS_PORT": json.dumps(port),
        }


@dataclass(frozen=True)
class Kubectl:
    """kubectl for one cluster."""

    kubeconfig: Path

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run it; gives its output, and raises with its error."""
        argv = [str(tools.path("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments]
        answer = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise DevError(f"`kubectl {' '.join(arguments)}` failed: {answer.stderr.strip()}")
        return answer.stdout

    def apply(self, text: str) -> None:
        """Apply manifests, as their owner."""
        self.run("apply", "--server-side", "--force-conflicts", "--field-manager=seatrial-dev", "-f", "-", stdin=text)


def install_definitions(kubectl: Kubectl) -> None:
    """Apply what needs no image: namespaces, and the resources of the Gateway API and of Envoy Gateway."""
    crds = (gateway_manifests() / "crds.yaml").read_text(encoding="utf-8")
    api = Api.of(kubectl.run("config", "view", "--raw", "--minify", "-o", "json"))
    api.create_definitions(crds.split(_BETWEEN))
    kubectl.apply(manifest("namespaces", {}))


def install(kubectl: Kubectl, exposure: Exposure) -> None:
    """Apply everything that runs, once the images are there; `wait` sees it through.

    A pod that finds its image missing is tried again only ten seconds later.
    """
    values = exposure.values()
    names = ["gateway", "prometheus"]
    if exposure.dns_service is not None:
        names.append("coredns")
    chart = (gateway_manifests() / "control-plane.yaml").read_text(encoding="utf-8")
    kubectl.apply(_BETWEEN.join([chart, *(manifest(name, values) for name in names)]))


def wait(kubectl: Kubectl, seconds: float = 120) -> None:
    """Wait until the gateway serves and Prometheus answers."""
    limit = f"--timeout={seconds:.0f}s"
    kubectl.run("wait", "--for=condition=Programmed", limit, "-n", "gateways", "gateway/gateway")
    kubectl.run("rollout", "status", limit, "-n", "monitoring", "deployment/prometheus")


def gateway_service(kubectl: Kubectl) -> Mapping[str, str]:
    """Address and node port of the Service in front of Envoy: `ip`, `port`, `node_port`."""
    found: dict[str, str] = {}

    def look() -> bool:
        text = kubectl.run("get", "services", "-n", GATEWAY_SYSTEM, "-l", _PROXY_LABELS, "-o", "json")
        for item in json.loads(text)["items"]:
            port = item["spec"]["ports"][0]
            found.update(ip=item["spec"]["clusterIP"], port=str(port["port"]), node_port=str(port.get("nodePort", "")))
        return bool(found)

    _until(look, 60, "Envoy Gateway made no Service for the Gateway gateways/gateway")
    return found


def _until(ready: Callable[[], bool], seconds: float, otherwise: str) -> None:
    limit = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > limit:
            raise DevError(f"{otherwise} in {seconds:.0f} s.")
        time.sleep(0.2)


def manifest(name: str, values: Mapping[str, str]) -> str:
    """One of our manifests with nothing left open."""
    return Template((MANIFESTS / f"{name}.yaml").read_text(encoding="utf-8")).substitute(values)


def gateway_manifests() -> Path:
    """The folder with Envoy Gateway's chart rendered: `crds.yaml` and `control-plane.yaml`."""
    gateway, helm = tools.TOOLS["envoy-gateway"].recipe, tools.TOOLS["helm"].recipe
    image = images.IMAGES["envoy-gateway"].tag
    recipe = Recipe("envoy-gateway-manifests", gateway.version, (gateway.key, helm.key, image, "1"), 3)

    def build(folder: Path, log: Path) -> None:
        chart = folder / "chart"
        run_logged(["cp", "-r", tools.entry("envoy-gateway") / "share" / "charts" / "gateway-helm", chart], log)
        template = (chart / "values.tmpl.yaml").read_text(encoding="utf-8")
        values = template.replace("${GatewayImage}", image).replace("${GatewayImagePullPolicy}", "IfNotPresent")
        (chart / "values.yaml").write_text(values, encoding="utf-8")
        argv: list[str | Path] = [
            tools.path("helm"),
            "template",
            "eg",
            chart,
            "--namespace",
            GATEWAY_SYSTEM,
            "--include-crds",
        ]
        # The injector is for several zones, and its webhook would sit in the
        # way of every pod.
        argv += ["--set", "topologyInjector.enabled=false", "--output-dir", folder / "rendered"]
        run_logged(argv, log)
        crds: list[str] = []
        rest: list[str] = []
        for file in sorted((folder / "rendered").rglob("*.yaml")):
            for document in re.split(r"^---$", file.read_text(encoding="utf-8"), flags=re.MULTILINE):
                if re.search(r"^kind:", document, re.MULTILINE):
                    is_crd = re.search(r"^kind: CustomResourceDefinition$", document, re.MULTILINE)
                    (crds if is_crd else rest).append(document)
        # Accounts, roles and configuration before what uses them.
        rest.sort(key=lambda text: bool(re.search(r"^kind: (Job|Deployment)$", text, re.MULTILINE)))
        (folder / "crds.yaml").write_text(_BETWEEN.join(crds), encoding="utf-8")
        (folder / "control-plane.yaml").write_text(_BETWEEN.join(rest), encoding="utf-8")
        run_logged(["rm", "-r", chart, folder / "rendered"], log)

    return obtain(recipe, build)
