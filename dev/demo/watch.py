"""The resource as it changes, read from one `kubectl get --watch`."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from dev import tools
from dev.cluster import Cluster
from dev.errors import DevError

Resource = dict[str, Any]


class Watch:
    """Keeps the latest state, and every trial's moment at the minimum weight, which status forgets."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        argv = [str(tools.path("kubectl")), f"--kubeconfig={cluster.kubeconfig}", "-n", namespace]
        argv += ["get", "modeldeployment", name, "-o", "json", "--watch"]
        self._process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
        self._changed = threading.Condition()
        self.latest: Resource = {}
        self.back: dict[str, Resource] = {}
        """`status.rollout` of each revision on its way back, as last seen."""
        self.slots: dict[str, int] = {}
        """The place of each revision's backend in the route."""
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, what: str, holds: Callable[[Resource], bool], seconds: float) -> Resource:
        """Wait for a state; gives the resource."""
        limit = time.monotonic() + seconds
        with self._changed:
            while not (self.latest and holds(self.latest)):
                left = limit - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    message = self.latest.get("status", {}).get("message", "")
                    raise DevError(f"{what}: not within {seconds:.0f} s. The resource says: {message}")
            return self.latest

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        decoder, text = json.JSONDecoder(), ""
        for line in self._process.stdout:
            text += line
            # Objects come one after another, each ending in a brace at the start of a line.
            if line.rstrip() == "}":
                resource, end = decoder.raw_decode(text)
                text = text[end:].lstrip()
                self._take(resource)

    def _take(self, resource: Resource) -> None:
        status = resource.get("status", {})
        rollout = status.get("rollout") or {}
        with self._changed:
            self.latest = resource
            if rollout.get("back"):
                self.back[rollout["revision"]] = rollout
            for place, slot in enumerate("ab"):
                revision = status.get("traffic", {}).get("slots", {}).get(slot)
                if revision:
                    self.slots[revision] = place
            self._changed.notify_all()
