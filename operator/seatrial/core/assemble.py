"""From a status to objects: what shall exist, in which order it is written, and what may go."""

from __future__ import annotations

from typing import Any

from seatrial.api.spec import RouteRef
from seatrial.api.status import Status
from seatrial.build.comparer import comparer_deployment, comparer_service
from seatrial.build.deployment import render, serving_port
from seatrial.build.disruption import disruption_budget
from seatrial.build.drill import drill_deployment, drill_revision
from seatrial.build.names import PORT, PREVIEW, child_name, comparer_name, is_comparer
from seatrial.build.record import record
from seatrial.build.route import splice as spliced
from seatrial.build.rule import Splice
from seatrial.build.service import model_service, preview_service, revision_service
from seatrial.core import borrowed, capacity, probation, routers, sharing, voyage
from seatrial.core.passing import Pass
from seatrial.core.state import Manifest, Ref
from seatrial.core.traffic import as_backends, copies_of, highest, parts


def rendered(p: Pass, revision: str) -> Manifest | None:
    """A revision's Deployment without replicas: from its record; else from what runs; else, for the wanted
    revision and its copy only, from the spec."""
    observed = p.observed
    if (kept := observed.records.get(revision)) is not None:
        return kept.deployment
    workload = observed.workloads.get(revision)
    if workload is not None and workload.manifest is not None:
        return _as_born(workload.manifest)
    if revision == p.wanted:
        return render(
            observed.name,
            observed.namespace,
            revision,
            observed.raw_spec,
            pre_stop=not p.installation.unsafe_traffic,
        )
    if revision == drill_revision(p.wanted) and (copied := rendered(p, p.wanted)) is not None:
        return drill_deployment(observed.name, p.wanted, copied)
    return None


def _as_born(live: Manifest) -> Manifest:
    """A live Deployment as its record held it: identity, our labels and annotations, the spec."""
    metadata = live["metadata"]
    spec = {key: value for key, value in live["spec"].items() if key != "replicas"}
    annotations = {PORT: (metadata.get("annotations") or {}).get(PORT, "8080")}
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": metadata.get("labels", {}),
            "annotations": annotations,
        },
        "spec": spec,
    }


def alive(status: Status) -> list[str]:
    """Revisions whose pods stay: stable, the candidate, the one kept for going back, and what the route still holds."""
    candidate = status.rollout.revision if status.rollout is not None else None
    wanted = [status.stable, candidate, probation.previous(status), status.traffic.slots.a, status.traffic.slots.b]
    return list(dict.fromkeys(revision for revision in wanted if revision is not None))


def serving(status: Status) -> list[str]:
    """Revisions that may be getting live traffic: what autoscalers count and drains spare."""
    slots = status.traffic.slots
    return sorted(revision for revision in (slots.a, slots.b) if revision and highest(status.traffic, revision) > 0)


def size(p: Pass, status: Status, revision: str) -> int:
    """Pods of a revision. Nothing shrinks while it may still be asked for answers."""
    workload = p.workload(revision)
    current = workload.replicas if workload is not None else 0
    rollout = status.rollout
    if revision == status.stable:
        return voyage.stable_size(p, status)
    if rollout is not None and rollout.revision == revision and rollout.back is None:
        need = p.replicas if status.stable is None else voyage.pods_asked(p, status, rollout)
        if routers.of(p).scales:
            return need
        if rollout.exposed:
            return max(need, min(sharing.floor(p, status, revision), p.replicas))
        met = highest(status.traffic, revision)  # an earlier trial of it may still be on its way out
        return max(need, min(current, capacity.pods_for(p.replicas, met))) if met else need
    if revision == probation.previous(status):
        return _kept(p, status, revision, current)
    return sharing.floor(p, status, revision)


def _kept(p: Pass, status: Status, revision: str, current: int) -> int:
    """The revision kept for going back shrinks once nobody can be waiting for an answer of its surplus pods."""
    wanted = probation.size(p, current)
    waiting = highest(status.traffic, revision) > parts(probation.holdback(p, status)) or not p.settled
    return max(wanted, current) if waiting else wanted


def objects(p: Pass, status: Status) -> tuple[Manifest, ...]:
    """Everything that shall exist, in writing order: records, Deployments, Services, budgets, what routes."""
    observed, router = p.observed, routers.of(p)
    records: list[Manifest] = []
    deployments: list[Manifest] = []
    services: list[Manifest] = []
    for revision in alive(status):
        deployment = rendered(p, revision)
        if deployment is None:
            p.note(f"revision {revision} has lost its record and its Deployment: it cannot be written again")
            continue
        records.append(_record(p, revision, deployment))
        deployments.append(_sized(deployment, size(p, status, revision)))
        port = serving_port(deployment)
        services.append(revision_service(observed.name, observed.namespace, revision, port))
        if revision == status.stable and router.holder(observed.name).kind != "Service":
            services.append(model_service(observed.name, observed.namespace, revision, port))
        if revision == status.traffic.preview:
            services.append(preview_service(observed.name, observed.namespace, revision, port))
    if (compared := voyage.compared(p, status)) is not None:
        deployments.append(_comparer(p, status, compared))
        services.append(comparer_service(observed.name, observed.namespace, compared))
    budgets = [disruption_budget(observed.name, observed.namespace, revision) for revision in serving(status)]
    # A rule that goes back to its owner is waited for: until then there is one way in.
    ways = [] if p.returning else router.objects(p, status)
    out = [*records, *deployments, *services, *budgets, *ways]
    blocked = {str(ref) for ref in (*observed.foreign, *observed.rewritten)}
    return tuple(manifest for manifest in out if _key(manifest) not in blocked)


def _comparer(p: Pass, status: Status, candidate: str) -> Manifest:
    assert status.stable is not None
    return comparer_deployment(
        p.observed.name,
        p.observed.namespace,
        stable=status.stable,
        candidate=candidate,
        agreements=voyage.agreements(p),
        image=p.installation.image,
    )


def _record(p: Pass, revision: str, deployment: Manifest) -> Manifest:
    observed = p.observed
    made = record(observed.name, observed.namespace, revision, observed.raw_spec, deployment)
    kept = observed.records.get(revision)
    return made if kept is None else {**made, "data": dict(kept.data)}


def _sized(deployment: Manifest, replicas: int) -> Manifest:
    return {**deployment, "spec": {**deployment["spec"], "replicas": replicas}}


def _key(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def splice(p: Pass, status: Status) -> Splice | None:
    """The rule of a team's own route, as it shall be. Not before it is in status what stood there, and we are held."""
    have, now = p.observed.status.traffic.borrowed, status.traffic.borrowed
    if now is not None and now.returning_since is not None:
        return borrowed.splice_back(p.observed, status)
    slots = as_backends(status.traffic.slots, status.traffic.wanted, direct=p.installation.unsafe_traffic)
    if have is None or now is None or slots is None or not p.observed.held:
        return None
    if now.contested or p.observed.conflict or p.observed.rule is None:
        return None
    copies = copies_of(status.traffic)
    return spliced(p.observed.name, RouteRef(name=now.route, rule=now.rule), slots=slots, copies=copies)


def leftovers(p: Pass, status: Status) -> tuple[Ref, ...]:
    """What nothing refers to any more. A route that is missing or not settled counts as a reference."""
    observed = p.observed
    stay = {*alive(status), *([PREVIEW] if status.traffic.preview is not None else [])}
    route = observed.route
    present = set(observed.workloads) | set(observed.records) | _service_revisions(p)
    named = route.services if route is not None else frozenset()
    selected = {str(s.get("seatrial.dev/revision", "")) for n, s in observed.services.items() if n == observed.name}
    kept = {child_name(observed.name, revision) for revision in serving(status)}
    out = [Ref("PodDisruptionBudget", name) for name in sorted(observed.budgets - kept)]
    out += [*_idle_comparers(p, status, named), *routers.leftovers(p, status)]
    for revision in sorted(present - stay):
        name = child_name(observed.name, revision)
        if name in named or revision in selected:
            continue
        if (status.stable is not None and not p.settled) or p.returning:
            continue
        out += [ref for ref in _refs(name) if _exists(p, revision, ref)]
    return tuple(out)


def _idle_comparers(p: Pass, status: Status, named: frozenset[str]) -> list[Ref]:
    """Comparers of earlier shadows, as far as no proxy sends them copies."""
    compared = voyage.compared(p, status)
    wanted = comparer_name(p.observed.name, compared) if compared is not None else ""
    there = (entry.ref.partition("/")[2] for entry in status.written)
    idle = [
        name for name in dict.fromkeys(there) if is_comparer(p.observed.name, name) and name not in (wanted, *named)
    ]
    return [ref for name in idle for ref in (Ref("Service", name), Ref("Deployment", name)) if p.settled]


def _service_revisions(p: Pass) -> set[str]:
    prefix = f"{p.observed.name}-"
    return {name.removeprefix(prefix) for name in p.observed.services if name.startswith(prefix)}


def _refs(name: str) -> tuple[Ref, ...]:
    return (Ref("Service", name), Ref("Deployment", name), Ref("ControllerRevision", name))


def _exists(p: Pass, revision: str, ref: Ref) -> bool:
    have: dict[str, Any] = {
        "Service": p.observed.services,
        "Deployment": p.observed.workloads,
        "ControllerRevision": p.observed.records,
    }
    return (ref.name if ref.kind == "Service" else revision) in have[ref.kind]
