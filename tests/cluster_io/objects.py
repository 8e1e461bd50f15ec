"""Manifests for these tests."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]

LABELS = {"app.kubernetes.io/managed-by": "seatrial", "seatrial.dev/model": "fraud"}


def model(namespace: str, name: str = "fraud", image: str = "registry.example.com/fraud:1", **spec: Any) -> Manifest:
    return {
        "apiVersion": "seatrial.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 2,
            "runtime": "MLServer",
            "model": {"name": name},
            "template": {"spec": {"containers": [{"name": "model", "image": image}]}},
            "traffic": {
                "hostnames": [f"{name}.example.com"],
                "gatewayAPI": {"parentRefs": [{"name": "public", "namespace": namespace}]},
            },
            **spec,
        },
    }


def gateway(namespace: str, name: str = "public") -> Manifest:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "gatewayClassName": "envoy",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
    }


def accepted(generation: int = 1) -> Manifest:
    """A Gateway's status once its controller has taken it."""
    return {
        "conditions": [
            {
                "type": "Accepted",
                "status": "True",
                "reason": "Accepted",
                "message": "",
                "observedGeneration": generation,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ]
    }


def service(namespace: str, name: str = "fraud", revision: str = "e04d5521aa") -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(LABELS)},
        "spec": {
            "type": "ClusterIP",
            "selector": {"seatrial.dev/model": "fraud", "seatrial.dev/revision": revision},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
    }


def deployment(namespace: str, name: str = "fraud-e04d5521aa", replicas: int = 2) -> Manifest:
    revision = name.rpartition("-")[2]
    labels = {**LABELS, "seatrial.dev/revision": revision}
    selector = {"seatrial.dev/model": "fraud", "seatrial.dev/revision": revision}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "model", "image": "registry.example.com/fraud:1"}]},
            },
        },
    }


def budget(namespace: str, of: Manifest) -> Manifest:
    metadata = {"name": of["metadata"]["name"], "namespace": namespace, "labels": of["metadata"]["labels"]}
    spec = {"maxUnavailable": 1, "selector": of["spec"]["selector"], "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}


def record(namespace: str, of: Manifest) -> Manifest:
    spec = {key: value for key, value in of["spec"].items() if key != "replicas"}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": of["metadata"]["name"], "namespace": namespace, "labels": of["metadata"]["labels"]},
        "data": {"algorithm": "v1", "deployment": {**of, "spec": spec}},
        "revision": 1,
    }


def route(namespace: str, weights: tuple[int, int] = (1_000_000, 0), name: str = "fraud") -> Manifest:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(LABELS)},
        "spec": {
            "hostnames": ["fraud.example.com"],
            "parentRefs": [
                {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": namespace}
            ],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": [
                        {"group": "", "kind": "Service", "name": "fraud", "port": 80, "weight": weight}
                        for weight in weights
                    ],
                }
            ],
        },
    }
