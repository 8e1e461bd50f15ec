"""The comparer of a candidate: one small pod, from the operator's own image, that gets copies of live requests.

It has no rights, no disk and no account token, and never more than half a core and 256 MiB: what a bounded
sample takes. Nothing depends on it but the agreement checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seatrial.api.agreement import Agreement
from seatrial.api.mode import AgreementMode
from seatrial.build.names import MANAGED_BY, MANAGER, child_name, comparer_name, comparer_selector

NO_IMAGE = (
    "agreement is compared by a pod from the operator's own image, and this operator does not know its image: install it "
    "with the chart, or start it with --image"
)
"""Why agreement is refused where the installation names no image."""

PORT, METRICS_PORT = 8080, 8081
USER = 65532


def comparer_deployment(
    model: str, namespace: str, *, stable: str, candidate: str, agreements: Sequence[Agreement], image: str
) -> dict[str, Any]:
    """The Deployment for two revisions, without owner. `agreements` are those of all checks, at least one."""
    selects = comparer_selector(model, candidate)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": comparer_name(model, candidate), "namespace": namespace, "labels": _labels(selects)},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selects},
            # Two at a time would ask stable twice as often.
            "strategy": {"type": "Recreate"},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 1,
            "template": {
                "metadata": {
                    "labels": _labels(selects),
                    "annotations": {
                        "prometheus.io/scrape": "true",
                        "prometheus.io/port": str(METRICS_PORT),
                        "prometheus.io/path": "/metrics",
                    },
                },
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 5,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": USER,
                        "runAsGroup": USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [_container(model, stable, candidate, agreements, image)],
                },
            },
        },
    }


def comparer_service(model: str, namespace: str, candidate: str) -> dict[str, Any]:
    """The Service that the gateway sends copies to."""
    selects = comparer_selector(model, candidate)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": comparer_name(model, candidate), "namespace": namespace, "labels": _labels(selects)},
        "spec": {
            "type": "ClusterIP",
            "selector": selects,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": PORT}],
        },
    }


def arguments(model: str, stable: str, candidate: str, agreements: Sequence[Agreement]) -> list[str]:
    """What `seatrial compare` is started with. One process compares in one way, which admission holds."""
    how = agreements[0]
    out = [
        "compare",
        f"--stable=http://{child_name(model, stable)}",
        f"--candidate=http://{child_name(model, candidate)}",
        f"--port={PORT}",
        f"--metrics-port={METRICS_PORT}",
        f"--mode={how.mode}",
    ]
    if how.mode is AgreementMode.NUMERIC and how.tolerance is not None:
        out.append(f"--tolerance={how.tolerance}")
    if how.mode is AgreementMode.TOP_K and how.top_k is not None:
        out.append(f"--top-k={how.top_k}")
    named = [agreement.output for agreement in agreements if agreement.output is not None]
    if len(named) == len(agreements):
        out += [f"--output={name}" for name in sorted(set(named))]
    return out


def _labels(selects: dict[str, str]) -> dict[str, str]:
    return {MANAGED_BY: MANAGER, **selects}


def _container(model: str, stable: str, candidate: str, agreements: Sequence[Agreement], image: str) -> dict[str, Any]:
    ready = {"httpGet": {"path": "/readyz", "port": METRICS_PORT}}
    alive = {"httpGet": {"path": "/healthz", "port": METRICS_PORT}}
    return {
        "name": "comparer",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments(model, stable, candidate, agreements),
        "ports": [
            {"name": "http", "containerPort": PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "startupProbe": {**ready, "periodSeconds": 1, "failureThreshold": 60, "timeoutSeconds": 5},
        "readinessProbe": {**ready, "periodSeconds": 5, "failureThreshold": 3, "timeoutSeconds": 5},
        "livenessProbe": {**alive, "periodSeconds": 10, "failureThreshold": 6, "timeoutSeconds": 5},
        "resources": {
            "requests": {"cpu": "20m", "memory": "64Mi"},
            # A limit on the processor too: whatever comes in, models on the node keep theirs.
            "limits": {"cpu": "500m", "memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
