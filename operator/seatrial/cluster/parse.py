"""From what the API server stores to what decisions look at. No I/O; nothing in here raises on bad input.

Everything stored is untrusted: a spec may be older than the schema, a status may have been edited.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from seatrial.api.spec import ModelDeploymentSpec, ParentRef, RouterKind
from seatrial.api.status import Status
from seatrial.build.names import MODEL_LABEL, REVISION_LABEL, child_name
from seatrial.core.conditions import condition
from seatrial.core.state import GatewayClass, Installation, Manifest, Pod, Record, Workload

EPOCH = datetime.fromtimestamp(0, UTC)


def parse_spec(raw: Mapping[str, Any]) -> tuple[ModelDeploymentSpec | None, str]:
    """The spec, or None and a sentence that names the field."""
    try:
        return ModelDeploymentSpec.model_validate(raw), ""
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in ("spec", *first["loc"]))
        more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
        return None, f"{where}: {first['msg'].removeprefix('Value error, ')}{more}"


def parse_status(raw: object) -> Status:
    """The status, without the parts that do not parse."""
    if not isinstance(raw, dict):
        return Status()
    try:
        return Status.model_validate(raw)
    except ValidationError:
        left = copy.deepcopy(raw)
    for _ in range(64):
        try:
            return Status.model_validate(left)
        except ValidationError as error:
            for problem in error.errors(include_url=False, include_input=False):
                loc = problem["loc"]
                if problem["type"] == "too_long":
                    _truncate(left, loc, int(problem["ctx"]["max_length"]))
                else:
                    # A thing without a field that it must have is no such thing: the whole of it goes.
                    _remove(left, loc[:-1] if problem["type"] == "missing" else loc)
    return Status()


def _walk(root: Any, path: Sequence[int | str]) -> Any:
    for part in path:
        try:
            root = root[part]
        except (KeyError, IndexError, TypeError):
            return None
    return root


def _remove(root: Any, loc: Sequence[int | str]) -> None:
    if not loc:
        root.clear()
        return
    parent = _walk(root, loc[:-1])
    try:
        del parent[loc[-1]]
    except (KeyError, IndexError, TypeError):
        # Removed a moment ago with something around it, or the place is inside a value that is not ours
        # to cut: take what is around it.
        if parent is not None and len(loc) > 1 and not isinstance(parent, dict | list):
            _remove(root, loc[:-1])


def _truncate(root: Any, loc: Sequence[int | str], length: int) -> None:
    found = _walk(root, loc)
    if isinstance(found, list):
        del found[length:]
    else:
        _remove(root, loc)


def time_of(text: object) -> datetime:
    """A Kubernetes timestamp; the epoch where there is none."""
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return EPOCH


def is_ours(manifest: Manifest, uid: str) -> bool:
    """Whether the controller of an object is the resource with this uid."""
    owners = manifest.get("metadata", {}).get("ownerReferences") or ()
    return any(owner.get("controller") and owner.get("uid") == uid for owner in owners)


def parse_pod(manifest: Manifest) -> Pod:
    """A pod, as far as decisions need it."""
    metadata, spec, status = manifest["metadata"], manifest.get("spec") or {}, manifest.get("status") or {}
    statuses = status.get("containerStatuses") or []
    by_name = {entry.get("name"): entry for entry in statuses}
    in_order = [by_name[c["name"]] for c in spec.get("containers") or () if c.get("name") in by_name]
    waiting: Mapping[str, Any] = next(
        (
            entry["state"]["waiting"]
            for entry in [*(status.get("initContainerStatuses") or []), *in_order]
            if (entry.get("state") or {}).get("waiting")
        ),
        {},
    )
    scheduled = condition(status.get("conditions"), "PodScheduled")
    unschedulable = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    ends = [_last_end(entry) for entry in in_order]
    created, ready = time_of(metadata.get("creationTimestamp")), condition(status.get("conditions"), "Ready")
    is_ready = ready.get("status") == "True"
    since = ready.get("lastTransitionTime") if is_ready else None
    return Pod(
        name=metadata["name"],
        ip=status.get("podIP") or "",
        created=created,
        ready=is_ready,
        leaving="deletionTimestamp" in metadata,
        start=time_of(since) - created if since else None,
        restarts=sum(int(entry.get("restartCount") or 0) for entry in in_order),
        oom_kills=sum(1 for entry in in_order if _was_oom_killed(entry)),
        image_ids=tuple(entry.get("imageID") or "" for entry in in_order),
        waiting=waiting.get("reason") or "",
        waiting_message=waiting.get("message") or "",
        unschedulable=str(scheduled.get("message") or "no node fits") if unschedulable else "",
        last_exit=next((end for end in ends if end), ""),
    )


def _terminations(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [(entry.get(key) or {}).get("terminated") for key in ("state", "lastState")]
    return [end for end in found if end]


def _was_oom_killed(entry: Mapping[str, Any]) -> bool:
    return any(end.get("reason") == "OOMKilled" for end in _terminations(entry))


def _last_end(entry: Mapping[str, Any]) -> str:
    """How a container ended last: `exit code 1 (Error): last log line`."""
    ends = _terminations(entry)
    if not ends:
        return ""
    end = ends[0]
    said = str(end.get("message") or "").strip().splitlines()
    reason = f" ({end['reason']})" if end.get("reason") else ""
    return f"exit code {end.get('exitCode', '?')}{reason}" + (f": {said[-1][:300]}" if said else "")


def parse_workload(model: str, deployment: Manifest, pods: Iterable[Manifest]) -> Workload | None:
    """A revision's Deployment with its pods; None where it bears no revision."""
    revision = (deployment["metadata"].get("labels") or {}).get(REVISION_LABEL)
    name = deployment["metadata"]["name"]
    if revision is None and name.startswith(f"{model}-"):
        # Somebody took our labels off; the name is ours and says the same.
        revision = name.removeprefix(f"{model}-")
    if not revision:
        return None
    failure = condition((deployment.get("status") or {}).get("conditions"), "ReplicaFailure")
    spec = deployment.get("spec") or {}
    return Workload(
        revision=revision,
        uid=deployment["metadata"]["uid"],
        replicas=int(spec.get("replicas", 1)),
        pods=tuple(
            sorted(
                (parse_pod(pod) for pod in pods if _belongs(pod, model, revision)),
                key=lambda pod: pod.name,
            )
        ),
        quota=str(failure.get("message") or "") if failure.get("status") == "True" else "",
        manifest=deployment,
    )


def strays(model: str, pods: Iterable[Manifest], revisions: Collection[str]) -> int:
    """How many pods of a model belong to none of these revisions, and have not run their course."""
    labelled = ((pod, (pod["metadata"].get("labels") or {}).get(REVISION_LABEL)) for pod in pods)
    others = [(pod, revision) for pod, revision in labelled if revision is not None and revision not in revisions]
    return sum(1 for pod, revision in others if _belongs(pod, model, revision))


def populated(pods: Iterable[Manifest]) -> frozenset[str]:
    """Revisions with pods that may get requests from a Service of the whole model."""
    there = [pod["metadata"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return frozenset(str((metadata.get("labels") or {}).get(REVISION_LABEL, metadata["name"])) for metadata in there)


def _belongs(pod: Manifest, model: str, revision: str) -> bool:
    """Whether a pod is one of a revision's Deployment, and not one that has run its course (evicted)."""
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    if labels.get(MODEL_LABEL) != model or labels.get(REVISION_LABEL) != revision:
        return False
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return False
    prefix = f"{child_name(model, revision)}-"
    return any(
        bool(owner.get("controller"))
        and owner.get("kind") == "ReplicaSet"
        and str(owner.get("name")).startswith(prefix)
        for owner in metadata.get("ownerReferences") or ()
    )


def parse_record(manifest: Manifest) -> Record | None:
    """A revision's record; None where it does not hold one."""
    data = manifest.get("data")
    name = manifest["metadata"]["name"]
    if not isinstance(data, dict) or not isinstance(data.get("deployment"), dict):
        return None
    labels = (data["deployment"].get("metadata") or {}).get("labels") or {}
    revision = labels.get(REVISION_LABEL) or name.rpartition("-")[2]
    return Record(
        revision=revision,
        deployment=data["deployment"],
        data=data,
        model_version=data.get("modelVersion"),
        training_data=data.get("trainingData"),
    )


Parent = tuple[str, str]
"""Namespace and name of a Gateway."""


def parents_of(spec: ModelDeploymentSpec, namespace: str, installation: Installation) -> tuple[Parent, ...]:
    """The Gateways a resource attaches to, each once."""
    chosen = spec.traffic.gateway_api
    if spec.traffic.router is not RouterKind.GATEWAY_API:
        return ()
    if chosen is not None:
        return tuple(dict.fromkeys(_named(ref, namespace) for ref in chosen.parent_refs))
    return (installation.gateway,) if installation.gateway is not None else ()


def _named(ref: ParentRef, namespace: str) -> Parent:
    return ref.namespace or namespace, ref.name


def parse_gateway_class(name: str, manifest: Manifest | None) -> GatewayClass:
    """What a class says of its implementation. Features were plain names once, and are objects with a name."""
    if manifest is None:
        return GatewayClass(name, unread=f"GatewayClass {name} does not exist")
    features = (manifest.get("status") or {}).get("supportedFeatures") or []
    names = (entry.get("name") if isinstance(entry, dict) else entry for entry in features)
    controller = str((manifest.get("spec") or {}).get("controllerName") or "")
    return GatewayClass(name, controller, frozenset(str(found) for found in names if found))


def gateway_problem(parent: Parent, gateway: Manifest | None) -> str:
    """Why a Gateway cannot carry traffic: a sentence, or empty."""
    name = f"Gateway {parent[0]}/{parent[1]}"
    if gateway is None:
        return f"{name} does not exist: create it, or name another in spec.traffic.gatewayAPI.parentRefs"
    accepted = condition((gateway.get("status") or {}).get("conditions"), "Accepted")
    if accepted.get("status") == "True":
        return ""
    said = accepted.get("message") or accepted.get("reason") or "no controller has answered"
    return f"{name} is not accepted by its controller: {said}"
