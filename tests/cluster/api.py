"""The Kubernetes API as the tests need it: plain objects, an administrator's rights, every error an exception."""

from __future__ import annotations

import base64
import json
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
import yaml

Object = dict[str, Any]

KINDS = {
    "Namespace": ("api/v1", "namespaces"),
    "Pod": ("api/v1", "pods"),
    "Service": ("api/v1", "services"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Event": ("api/v1", "events"),
    "Node": ("api/v1", "nodes"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "HorizontalPodAutoscaler": ("apis/autoscaling/v2", "horizontalpodautoscalers"),
    "ScaledObject": ("apis/keda.sh/v1alpha1", "scaledobjects"),
    "ResourceQuota": ("api/v1", "resourcequotas"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "ControllerRevision": ("apis/apps/v1", "controllerrevisions"),
    "Gateway": ("apis/gateway.networking.k8s.io/v1", "gateways"),
    "EnvoyProxy": ("apis/gateway.envoyproxy.io/v1alpha1", "envoyproxies"),
    "BackendTrafficPolicy": ("apis/gateway.envoyproxy.io/v1alpha1", "backendtrafficpolicies"),
    "HTTPRoute": ("apis/gateway.networking.k8s.io/v1", "httproutes"),
    "ModelDeployment": ("apis/seatrial.dev/v1alpha1", "modeldeployments"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
}
CLUSTERWIDE = {"Namespace", "Node"}


TOO_MANY_REQUESTS = 429


class ApiError(Exception):
    """The API server refused; the text is its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """One API server."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._files = tempfile.TemporaryDirectory()
        self._server = cluster["server"].rstrip("/")
        self._session = requests.Session()
        # REQUESTS_CA_BUNDLE would win over the certificate of the kubeconfig.
        self._session.trust_env = False
        self._session.verify = self._file(cluster, "certificate-authority")
        if "token" in user:
            self._session.headers["Authorization"] = f"Bearer {user['token']}"
        else:
            self._session.cert = (self._file(user, "client-certificate"), self._file(user, "client-key"))

    def close(self) -> None:
        self._session.close()
        self._files.cleanup()

    def get(self, kind: str, namespace: str, name: str) -> Object:
        return self._ask("GET", self._path(kind, namespace, name))

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        try:
            return self.get(kind, namespace, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str, selector: str = "") -> list[Object]:
        query = f"?labelSelector={quote(selector)}" if selector else ""
        items: list[Object] = self._ask("GET", self._path(kind, namespace) + query)["items"]
        return items

    def create(self, manifest: Object) -> Object:
        namespace = manifest["metadata"].get("namespace", "")
        return self._ask("POST", self._path(manifest["kind"], namespace), manifest)

    def apply(self, manifest: Object, manager: str = "test") -> Object:
        """As `kubectl apply --server-side --force-conflicts` does."""
        metadata = manifest["metadata"]
        path = self._path(manifest["kind"], metadata.get("namespace", ""), metadata["name"])
        limit = time.monotonic() + 20
        while True:
            try:
                return self._ask(
                    "PATCH", f"{path}?fieldManager={manager}&force=true", manifest, "application/apply-patch+yaml"
                )
            except ApiError as error:
                # A definition that has just been created serves reads a moment before it can be applied.
                if "There can be a delay" not in str(error) or time.monotonic() > limit:
                    raise
                time.sleep(0.5)

    def merge(self, kind: str, namespace: str, name: str, patch: Object, subresource: str = "") -> Object:
        path = self._path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return self._ask("PATCH", path, patch, "application/merge-patch+json")

    def patch(self, kind: str, namespace: str, name: str, *operations: Object, subresource: str = "") -> Object:
        path = self._path(kind, namespace, name) + (f"/{subresource}" if subresource else "")
        return self._ask("PATCH", path, list(operations), "application/json-patch+json")

    def evict(self, namespace: str, pod: str) -> bool:
        """As `kubectl drain` does; False where a PodDisruptionBudget does not allow it now."""
        metadata = {"name": pod, "namespace": namespace}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        try:
            self._ask("POST", self._path("Pod", namespace, pod) + "/eviction", body)
        except ApiError as error:
            if error.status == TOO_MANY_REQUESTS:
                return False
            raise
        return True

    def delete(self, kind: str, namespace: str, name: str, **options: object) -> None:
        self._ask("DELETE", self._path(kind, namespace, name), {"propagationPolicy": "Background", **options})

    def whoami(self) -> str:
        """The name under which the API server knows us, as commands are signed."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        review = self._ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
        return str(review["status"]["userInfo"]["username"])

    def log(self, namespace: str, pod: str, lines: int = 40) -> str:
        answer = self._session.get(
            f"{self._server}/api/v1/namespaces/{namespace}/pods/{pod}/log?tailLines={lines}", timeout=10
        )
        return answer.text

    @staticmethod
    def _path(kind: str, namespace: str, name: str = "") -> str:
        group, plural = KINDS[kind]
        place = f"/namespaces/{namespace}" if namespace and kind not in CLUSTERWIDE else ""
        return f"/{group}{place}/{plural}" + (f"/{name}" if name else "")

    def _ask(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Object:
        data = None if body is None else json.dumps(body)
        answer = self._session.request(
            method, self._server + path, data=data, headers={"Content-Type": kind}, timeout=20
        )
        if answer.status_code >= 400:
            raise ApiError(answer.status_code, answer.json().get("message", answer.text))
        found: Object = answer.json()
        return found

    def _file(self, part: dict[str, str], key: str) -> str:
        """The path of a certificate or key, which a kubeconfig names or holds."""
        if key in part:
            return part[key]
        file = Path(self._files.name) / f"{key}.pem"
        file.write_bytes(base64.b64decode(part[f"{key}-data"]))
        file.chmod(0o600)
        return str(file)
