"""What a cluster does with our objects, where there is only an API server: pods start, a gateway accepts."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from seatrial.cluster.client import Client
from seatrial.cluster.errors import ApiError
from seatrial.cluster.kinds import DEPLOYMENT, ENDPOINT_SLICE, GATEWAY, HTTP_ROUTE, POD, SERVICE

Manifest = dict[str, Any]
SINCE = "2026-01-01T00:00:00Z"


class SmallCluster:
    """Deployments get ready pods, routes and Gateways get accepted; every `tick` seconds."""

    def __init__(self, client: Client, namespace: str, *, tick: float = 0.1) -> None:
        self._client, self._namespace, self._tick = client, namespace, tick
        self.broken: set[str] = set()
        """Images whose containers crash."""
        self.endpoints: set[str] = set()
        """Services whose EndpointSlices are kept."""

    async def run(self) -> None:
        while True:
            try:
                await self.step()
            except ApiError:
                # Somebody wrote at the same moment: the next tick looks again.
                pass
            await asyncio.sleep(self._tick)

    async def step(self) -> None:
        """One look at everything."""
        pods = list((await self._client.list(POD, self._namespace)).items)
        for deployment in (await self._client.list(DEPLOYMENT, self._namespace)).items:
            await self._pods(deployment, [pod for pod in pods if _of(pod, deployment)])
        names = {item["metadata"]["name"] for item in (await self._client.list(DEPLOYMENT, self._namespace)).items}
        for pod in pods:
            if pod["metadata"]["ownerReferences"][0]["name"].removesuffix("-rs") not in names:
                await self._client.delete(POD, self._namespace, pod["metadata"]["name"], uid=pod["metadata"]["uid"])
        for kind in (GATEWAY, HTTP_ROUTE):
            for item in (await self._client.list(kind, self._namespace)).items:
                await self._accept(kind, item)

        for item in (await self._client.list(SERVICE, self._namespace)).items if self.endpoints else ():
            if item["metadata"]["name"] in self.endpoints:
                await self._slice(item)

    async def _slice(self, service: Manifest) -> None:
        """One EndpointSlice with the ready pods that a Service selects."""
        name, selects = (
            service["metadata"]["name"],
            ",".join(f"{k}={v}" for k, v in service["spec"]["selector"].items()),
        )
        pods = (await self._client.list(POD, self._namespace, selector=selects)).items
        endpoints = [
            {
                "addresses": ["198.51.100.1"],
                "conditions": {"ready": True},
                "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "namespace": self._namespace},
            }
            for pod in pods
            if pod.get("status", {}).get("podIP") and "deletionTimestamp" not in pod["metadata"]
        ]
        made = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": self._namespace, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": endpoints,
        }
        there = await self._client.find(ENDPOINT_SLICE, self._namespace, name)
        if there is None:
            await self._client.create(made)
        elif there.get("endpoints") != endpoints:
            await self._client.replace({**made, "metadata": {**there["metadata"], "managedFields": None}})

    async def _pods(self, deployment: Manifest, there: list[Manifest]) -> None:
        wanted = deployment["spec"]["replicas"]
        for pod in there[wanted:]:
            await self._client.delete(POD, self._namespace, pod["metadata"]["name"], uid=pod["metadata"]["uid"])
        for _ in range(wanted - len(there)):
            await self._start(deployment)

    async def _start(self, deployment: Manifest) -> None:
        template, name = deployment["spec"]["template"], deployment["metadata"]["name"]
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{name}-rs", "uid": str(uuid4())}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-rs-{uuid4().hex[:5]}",
                "namespace": self._namespace,
                "labels": template["metadata"]["labels"],
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": {**template["spec"], "automountServiceAccountToken": False},
        }
        made = await self._client.create(pod)
        image = template["spec"]["containers"][0]["image"]
        crashes = image in self.broken
        container = {
            "name": template["spec"]["containers"][0]["name"],
            "image": image,
            "imageID": f"{image}@sha256:1",
            "ready": not crashes,
            "restartCount": 3 if crashes else 0,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}} if crashes else {"running": {"startedAt": SINCE}},
        }
        if crashes:
            container["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error", "message": "no model"}}
        ready = {"type": "Ready", "status": "False" if crashes else "True", "lastTransitionTime": SINCE}
        status = {"phase": "Running", "podIP": "127.0.0.1", "conditions": [ready], "containerStatuses": [container]}
        await self._client.patch(
            POD, self._namespace, made["metadata"]["name"], {"status": status}, subresource="status"
        )

    async def _accept(self, kind: Any, item: Manifest) -> None:
        generation = item["metadata"]["generation"]
        conditions = [
            {
                "type": name,
                "status": "True",
                "reason": name,
                "message": "",
                "observedGeneration": generation,
                "lastTransitionTime": SINCE,
            }
            for name in ("Accepted", "ResolvedRefs" if kind is HTTP_ROUTE else "Programmed")
        ]
        status: Manifest = {"conditions": conditions}
        if kind is HTTP_ROUTE:
            controller = "gateway.envoyproxy.io/gatewayclass-controller"
            status = {
                "parents": [
                    {"parentRef": ref, "controllerName": controller, "conditions": conditions}
                    for ref in item["spec"]["parentRefs"]
                ]
            }
        if (item.get("status") or {}) == status:
            return
        body = {"metadata": {"resourceVersion": item["metadata"]["resourceVersion"]}, "status": status}
        await self._client.patch(kind, self._namespace, item["metadata"]["name"], body, subresource="status")


def _of(pod: Manifest, deployment: Manifest) -> bool:
    owners = pod["metadata"].get("ownerReferences") or [{}]
    return bool(owners[0].get("name") == f"{deployment['metadata']['name']}-rs")
