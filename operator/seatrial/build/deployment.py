"""A revision's Deployment, rendered once from what the user wrote.

The rendering is frozen in the revision's record: this code is asked once for each revision, at its
birth, and a newer version of it changes nothing that already runs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from seatrial.api.base import parse_duration
from seatrial.api.spec import DRAIN, PRE_STOP_SECONDS
from seatrial.build.names import PORT, child_name, labels, selector
from seatrial.build.runtimes import RUNTIMES, port_of, runtime_of

KUBERNETES_GRACE_SECONDS = 30
"""`terminationGracePeriodSeconds` of a pod that sets none."""


def render(
    model: str, namespace: str, revision: str, spec: Mapping[str, Any], *, pre_stop: bool = True
) -> dict[str, Any]:
    """The Deployment of a revision, without `replicas` and owner.

    `spec` is the stored spec. `pre_stop=False` leaves the sleep out, which loses requests: it exists for
    the control run that proves the tests can see a loss.
    """
    template = copy.deepcopy(dict(spec["template"]))
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels(model, revision)}
    pod = template["spec"]
    server = pod["containers"][0]
    _serving_port(server, port_of(spec))
    _probes(server, spec)
    pod.setdefault("terminationGracePeriodSeconds", _grace_seconds(spec))
    if pre_stop and "preStop" not in (server.get("lifecycle") or {}):
        server["lifecycle"] = {
            **(server.get("lifecycle") or {}),
            "preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}},
        }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": child_name(model, revision),
            "namespace": namespace,
            "labels": labels(model, revision),
            "annotations": {PORT: str(port_of(spec))},
        },
        "spec": {
            "selector": {"matchLabels": selector(model, revision)},
            # A template only ever changes back to what it was: a repair. It must not cost a request.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 1,
            "template": template,
        },
    }


def serving_port(deployment: Mapping[str, Any]) -> int:
    """The port of a rendered Deployment."""
    return int(deployment["metadata"]["annotations"][PORT])


def _grace_seconds(spec: Mapping[str, Any]) -> int:
    """A pod that is evicted or scaled away has as long for what it is answering as one whose revision leaves."""
    drain = parse_duration((spec.get("traffic") or {}).get("drain", DRAIN))
    return max(KUBERNETES_GRACE_SECONDS, PRE_STOP_SECONDS + math.ceil(drain.total_seconds()))


def _serving_port(server: dict[str, Any], port: int) -> None:
    ports = server.setdefault("ports", [])
    if not any(entry.get("containerPort") == port for entry in ports):
        ports.append({"containerPort": port, "protocol": "TCP"})


def _probes(server: dict[str, Any], spec: Mapping[str, Any]) -> None:
    """Add the model's own readiness where the template has none."""
    defaults = RUNTIMES[runtime_of(spec)]
    name = (spec.get("model") or {}).get("name")
    if defaults.ready_path is None or (name is None and "{model}" in defaults.ready_path):
        if not any(probe in server for probe in ("readinessProbe", "startupProbe")):
            server["readinessProbe"] = {"tcpSocket": {"port": port_of(spec)}, "periodSeconds": 2}
        return
    ready = {"httpGet": {"path": defaults.ready_path.format(model=name), "port": port_of(spec)}}
    server.setdefault(
        "startupProbe", {**ready, "periodSeconds": 1, "failureThreshold": defaults.start_seconds, "timeoutSeconds": 2}
    )
    server.setdefault("readinessProbe", {**ready, "periodSeconds": 2, "failureThreshold": 3, "timeoutSeconds": 2})
