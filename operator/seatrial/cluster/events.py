"""Post Kubernetes events, once the status that holds their cause is stored.

An event is for people; nothing depends on one. The same event is not posted again within `QUIET`, and a
resource that has much to say is held to a budget, so that no loop can fill the event store.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from seatrial.build.names import MANAGER
from seatrial.cluster.client import Client
from seatrial.cluster.errors import ApiError
from seatrial.core.state import Event, Manifest

logger = logging.getLogger(__name__)

QUIET = 600.0
"""Seconds in which an equal event of the same resource is not posted again."""
BUDGET = 25
"""Events of one resource within `QUIET`."""
REMEMBERED = 4096
"""Events kept in mind."""
MESSAGE = 1024
"""The longest message that the API server takes."""


class Poster:
    """Posts events and remembers which ones were."""

    def __init__(self, client: Client, *, instance: str = MANAGER, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._instance = instance
        self._clock = clock
        self._posted: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    async def post(self, resource: Manifest, events: Iterable[Event], now: datetime) -> int:
        """Post events about a ModelDeployment; how many were. Failures are logged, never raised."""
        count = 0
        for event in events:
            key = (str(resource["metadata"]["uid"]), event.reason, event.message)
            if not self._fresh(key):
                continue
            try:
                await self._client.create(_manifest(resource, event, now, self._instance))
                count += 1
            except ApiError as error:
                metadata = resource["metadata"]
                about = {"namespace": metadata["namespace"], "model": metadata["name"]}
                logger.warning("could not post event %s: %s", event.reason, error, extra=about)
        return count

    def _fresh(self, key: tuple[str, str, str]) -> bool:
        """Whether an event may be posted; if so, it counts as posted."""
        now = self._clock()
        while self._posted and (len(self._posted) > REMEMBERED or now - next(iter(self._posted.values())) > QUIET):
            self._posted.popitem(last=False)
        if key in self._posted or sum(1 for uid, _, _ in self._posted if uid == key[0]) >= BUDGET:
            return False
        self._posted[key] = now
        return True


def _manifest(resource: Manifest, event: Event, now: datetime, instance: str) -> Manifest:
    metadata = resource["metadata"]
    at = now.astimezone(UTC)
    seed = f"{metadata['uid']}/{event.reason}/{event.message}/{at.timestamp()}"
    seconds = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    message = event.message if len(event.message) <= MESSAGE else event.message[: MESSAGE - 1] + "…"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            # As other components name them: the object, then something that differs.
            "name": f"{metadata['name'][:200]}.{hashlib.sha256(seed.encode()).hexdigest()[:16]}",
            "namespace": metadata["namespace"],
        },
        "involvedObject": {
            "apiVersion": resource["apiVersion"],
            "kind": resource["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        },
        "type": event.type,
        "reason": event.reason,
        "message": message,
        "action": event.reason,
        "source": {"component": MANAGER},
        "reportingComponent": f"seatrial.dev/{MANAGER}",
        "reportingInstance": instance,
        "firstTimestamp": seconds,
        "lastTimestamp": seconds,
        "count": 1,
    }
