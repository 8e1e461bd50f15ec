"""Our finalizer on a ModelDeployment: it waits with its end until a team's own route has its rule back."""

from __future__ import annotations

from seatrial.build.names import FINALIZER
from seatrial.cluster.client import Client
from seatrial.cluster.errors import NotFound
from seatrial.cluster.kinds import MODEL_DEPLOYMENT
from seatrial.core.state import Manifest


async def hold(client: Client, resource: Manifest, *, wanted: bool | None) -> bool:
    """Put the finalizer on the resource, or take it off; whether anything had to be written.

    Raises `Conflict` where somebody wrote the resource since: the finalizers of others are never lost.
    """
    metadata = resource["metadata"]
    there = FINALIZER in (metadata.get("finalizers") or ())
    if wanted is None or wanted == there:
        return False
    namespace, name, uid = metadata["namespace"], metadata["name"], metadata["uid"]
    now = await client.find(MODEL_DEPLOYMENT, namespace, name)
    if now is None or now["metadata"]["uid"] != uid or (wanted and "deletionTimestamp" in now["metadata"]):
        return False
    others = [one for one in now["metadata"].get("finalizers") or () if one != FINALIZER]
    body = {
        "metadata": {
            "resourceVersion": now["metadata"]["resourceVersion"],
            "finalizers": [*others, *([FINALIZER] if wanted else [])],
        }
    }
    try:
        await client.patch(MODEL_DEPLOYMENT, namespace, name, body)
    except NotFound:
        return False
    return True
