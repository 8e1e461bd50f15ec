"""The kinds of objects that the operator reads or writes, and where the API server keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from seatrial.api.base import GROUP, KIND, PLURAL, VERSION
from seatrial.api.policies import CLUSTER_POLICY_KIND, CLUSTER_POLICY_PLURAL, POLICY_KIND, POLICY_PLURAL


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """As manifests write it: `apps/v1`, `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The path of a collection, an object or a subresource: without a namespace, of all of them, or in none."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(quote(part, safe="") for part in parts)


MODEL_DEPLOYMENT = Kind(GROUP, VERSION, PLURAL, KIND)
TRIAL_POLICY = Kind(GROUP, VERSION, POLICY_PLURAL, POLICY_KIND)
CLUSTER_TRIAL_POLICY = Kind(GROUP, VERSION, CLUSTER_POLICY_PLURAL, CLUSTER_POLICY_KIND)
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
CONTROLLER_REVISION = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")
SERVICE = Kind("", "v1", "services", "Service")
POD_DISRUPTION_BUDGET = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
POD = Kind("", "v1", "pods", "Pod")
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
EVENT = Kind("", "v1", "events", "Event")
HTTP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
GATEWAY = Kind("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
NAMESPACE = Kind("", "v1", "namespaces", "Namespace")
GATEWAY_CLASS = Kind("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass")
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")

WRITTEN = (CONTROLLER_REVISION, DEPLOYMENT, SERVICE, POD_DISRUPTION_BUDGET, HTTP_ROUTE)
"""Kinds of the objects that a ModelDeployment owns."""

BY_KIND = {
    kind.kind: kind for kind in (*WRITTEN, MODEL_DEPLOYMENT, POD, CONFIG_MAP, ENDPOINT_SLICE, EVENT, GATEWAY, LEASE)
}
