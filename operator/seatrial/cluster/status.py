"""Store a status: only the difference, only over the version it was decided on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seatrial.api.status import Status
from seatrial.cluster.client import Client
from seatrial.cluster.errors import Conflict
from seatrial.cluster.kinds import MODEL_DEPLOYMENT
from seatrial.core.state import Manifest


def difference(before: object, after: object) -> Any:
    """The JSON merge patch (RFC 7386) from one value to another; an empty dict for equal objects."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        if key not in before:
            patch[key] = value
        elif before[key] != value:
            patch[key] = difference(before[key], value)
    return patch


def stands(resource: Manifest, status: Status) -> bool:
    """Whether the resource, as it was read, has this status already."""
    return not _patch(resource, status.wire())


async def store(client: Client, resource: Manifest, status: Status) -> bool:
    """Store a status over the resource as it was read; whether anything had to be written.

    Raises `Conflict` when the spec, or the status, has changed since: then the decision was taken on an
    old view, and the pass is repeated. A change of labels or annotations alone does not matter.
    """
    wanted = status.wire()
    if not _patch(resource, wanted):
        return False
    try:
        await _write(client, resource, wanted)
    except Conflict:
        metadata = resource["metadata"]
        now = await client.get(MODEL_DEPLOYMENT, metadata["namespace"], metadata["name"])
        if not _same(now, resource):
            raise
        await _write(client, now, wanted)
    return True


def _patch(resource: Manifest, wanted: Mapping[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = difference(resource.get("status") or {}, wanted)
    return patch


async def _write(client: Client, resource: Manifest, wanted: Mapping[str, Any]) -> None:
    metadata = resource["metadata"]
    await client.patch(
        MODEL_DEPLOYMENT,
        metadata["namespace"],
        metadata["name"],
        {
            # A version belongs to one object only, so it stands for the uid as well.
            "metadata": {"resourceVersion": metadata["resourceVersion"]},
            "status": _patch(resource, wanted),
        },
        subresource="status",
    )


def _same(now: Manifest, before: Manifest) -> bool:
    """Whether neither the spec nor the status has changed, nor the object itself."""
    return (
        now["metadata"]["uid"] == before["metadata"]["uid"]
        and now["metadata"].get("generation") == before["metadata"].get("generation")
        and now.get("status") == before.get("status")
    )
