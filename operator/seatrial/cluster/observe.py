"""Read one resource and everything that is its own, live, into an `Observed`.

Reads go to the API server, not to a cache: a LIST by label returns what is stored, our own last write
included, so a pass cannot act on an older view.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from seatrial.api.spec import ModelDeploymentSpec, RouteRef, RouterKind
from seatrial.api.status import Status, Written
from seatrial.build.fingerprint import fingerprint
from seatrial.build.names import COMMANDS, FINALIZER, MODEL_LABEL, SPEC_BY, child_name, owner_reference
from seatrial.build.overlay import owned, replacement
from seatrial.build.revision import revision
from seatrial.build.rule import stands
from seatrial.cluster.client import Client
from seatrial.cluster.errors import ApiError, NotFound
from seatrial.cluster.index import Index, Key
from seatrial.cluster.kinds import (
    BY_KIND,
    ENDPOINT_SLICE,
    GATEWAY,
    GATEWAY_CLASS,
    HTTP_ROUTE,
    MODEL_DEPLOYMENT,
    POD,
    WRITTEN,
    Kind,
)
from seatrial.cluster.ledger import Ledger, Page
from seatrial.cluster.parse import (
    Parent,
    gateway_problem,
    is_ours,
    parents_of,
    parse_gateway_class,
    parse_record,
    parse_spec,
    parse_status,
    parse_workload,
    populated,
    strays,
    time_of,
)
from seatrial.cluster.together import together
from seatrial.core.borrowed import in_force, ref_of
from seatrial.core.house import meet
from seatrial.core.routers import ROUTERS, Sight
from seatrial.core.routers.team_route import parse_team_route
from seatrial.core.state import GatewayClass, House, Installation, Manifest, Observed, Record, Ref, Route, Rule

SERVICE_NAME = "kubernetes.io/service-name"
"""Label of an EndpointSlice: the Service whose endpoints it holds."""
NO_GATEWAY_API = (
    "the Gateway API is not installed in this cluster: install its custom resources and a gateway "
    "controller, then this goes on by itself"
)
NO_GATEWAY = (
    "no Gateway to attach to: name one in spec.traffic.gatewayAPI.parentRefs, or start the operator with "
    "--gateway NAMESPACE/NAME"
)


@dataclass(frozen=True, slots=True)
class Raw:
    """What the API server said about one resource."""

    resource: Manifest
    children: Mapping[Kind, tuple[Manifest, ...]]
    """By kind, everything that bears the resource's label; a kind the API server does not know is absent."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a pass wants to know of a Gateway."""

    problem: str
    class_name: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """One look: what decisions may see, and what writing needs to know beside it."""

    observed: Observed
    resource: Manifest
    """The ModelDeployment as stored."""
    objects: Mapping[Ref, Manifest] = field(default_factory=dict)
    """Every object of ours that exists, as stored."""
    written: Mapping[str, Written] = field(default_factory=dict)
    """Our last writes, by ref."""
    team: Manifest | None = None
    """The team's own route that requests come through, as stored."""
    drifted: frozenset[Ref] = frozenset()
    """Objects that differ from what our write came back as, through admission or new defaults alone."""

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.observed.namespace, self.observed.name


class Observer:
    """Looks at resources. `ledger` is shared with whoever writes."""

    def __init__(self, client: Client, installation: Installation, index: Index, ledger: Ledger) -> None:
        self._client = client
        self._installation = installation
        self._index = index
        self._ledger = ledger

    async def look(self, key: Key) -> View | None:
        """One live look at a resource; None where it does not exist any more."""
        raw = await self.read(key)
        return None if raw is None else await self.view(raw)

    async def read(self, key: Key) -> Raw | None:
        """One GET, and one LIST for each kind of child."""
        namespace, name = key
        kinds = (*WRITTEN, POD)
        resource, *lists = await together(
            self._one(namespace, name), *(self._children(kind, namespace, name) for kind in kinds)
        )
        if not resource:
            return None
        return Raw(resource[0], {kind: found for kind, found in zip(kinds, lists, strict=True) if found is not None})

    async def read_many(self, resources: Sequence[Manifest]) -> list[Raw]:
        """One LIST for each kind of child, for several resources of one namespace that were just listed."""
        namespace = resources[0]["metadata"]["namespace"]
        names = [resource["metadata"]["name"] for resource in resources]
        kinds = (*WRITTEN, POD)
        selector = f"{MODEL_LABEL} in ({','.join(names)})"
        lists = await together(*(self._listed(kind, namespace, selector) for kind in kinds))
        sorted_out: dict[str, dict[Kind, tuple[Manifest, ...]]] = {name: {} for name in names}
        for kind, found in zip(kinds, lists, strict=True):
            if found is None:
                continue
            by_name: dict[str, list[Manifest]] = {name: [] for name in names}
            for item in found:
                by_name[item["metadata"]["labels"][MODEL_LABEL]].append(item)
            for name, items in by_name.items():
                sorted_out[name][kind] = tuple(items)
        return [Raw(resource, sorted_out[name]) for resource, name in zip(resources, names, strict=True)]

    async def view(self, raw: Raw, gateways: dict[Parent, Gateway] | None = None) -> View:
        """What was read, parsed and compared with what we wrote.

        `gateways` remembers what was said of each Gateway, for views that are made together.
        """
        resource = raw.resource
        metadata = resource["metadata"]
        namespace, name, uid = metadata["namespace"], metadata["name"], metadata["uid"]
        raw_spec = resource.get("spec") or {}
        spec, invalid = parse_spec(raw_spec)
        status = parse_status(resource.get("status"))
        house = House()
        if spec is not None:
            spec, house = meet(spec, f"{namespace}/{name}", self._index.house.of(namespace), status.house)
        page = self._ledger.page((namespace, name), uid)
        written = page.latest(status.written)

        objects, strangers = _sort(raw.children, uid)
        needed = _needed(name, raw_spec, spec)
        missing = [
            ref
            for ref in dict.fromkeys((*needed, *_refs(written)))
            if ref not in objects and ref not in strangers and BY_KIND[ref.kind] in raw.children
        ]
        # Not under our label: absent, somebody else's, or ours with its labels taken off.
        for ref, found in zip(missing, await self._find(namespace, missing), strict=True):
            if found is not None:
                (objects if is_ours(found, uid) else strangers)[ref] = found

        records = _records(objects)
        edited, drifted = await self._edits(name, uid, objects, written, records)
        route, rule, route_problem, team = None, None, "", None
        if (through := in_force(spec, status)) is not None:
            team = await self._client.find(HTTP_ROUTE, namespace, through.name)
            route, rule, route_problem = _team_route(name, through, team)
            edited += _rule_edited(name, rule, team, written)
        elif spec is not None:
            route = await self._route(name, namespace, objects, spec, status)
        pods = raw.children.get(POD, ())
        parsed = [parse_workload(name, obj, pods) for ref, obj in objects.items() if ref.kind == "Deployment"]
        workloads = {found.revision: found for found in parsed if found is not None}
        attached = await self._gateways(
            spec,
            namespace,
            HTTP_ROUTE in raw.children,
            {} if gateways is None else gateways,
            route if through is not None else None,
        )
        comes = status.stable is not None and revision(raw_spec) != status.stable
        observed = Observed(
            name=name,
            namespace=namespace,
            uid=uid,
            generation=int(metadata.get("generation") or 0),
            created=time_of(metadata.get("creationTimestamp")),
            deleting="deletionTimestamp" in metadata,
            spec=spec,
            raw_spec=raw_spec,
            status=status,
            commands=(metadata.get("annotations") or {}).get(COMMANDS, ""),
            spec_by=(metadata.get("annotations") or {}).get(SPEC_BY, ""),
            invalid=invalid,
            records=records,
            workloads=workloads,
            strays=strays(name, pods, workloads),
            services={
                ref.name: (obj.get("spec") or {}).get("selector") or {}
                for ref, obj in objects.items()
                if ref.kind == "Service"
            },
            populated=populated(pods),
            budgets=frozenset(ref.name for ref in objects if ref.kind == "PodDisruptionBudget"),
            route=route,
            rule=rule,
            route_problem=route_problem,
            held=FINALIZER in (metadata.get("finalizers") or ()),
            foreign=tuple(ref for ref in needed if ref in strangers),
            edited=edited,
            rewritten=_rewritten(page, objects),
            conflict=self._index.conflict((namespace, name), self._index.claim_of(resource)),
            turn=self._index.turns.wait((namespace, name)),
            freeze=self._index.freezes.of(namespace),
            house=house,
            # What the Gateways of a team's own route have to say is in its status.
            gateway_problem=next((gateway.problem for gateway in attached if gateway.problem and through is None), ""),
            gateway_classes=await self._classes(attached) if comes and spec is not None and _shadows(spec) else (),
        )
        return View(observed, resource, objects, written, team, drifted)

    # -- reading --------------------------------------------------------------------------------------------------

    async def _one(self, namespace: str, name: str) -> tuple[Manifest, ...] | None:
        found = await self._client.find(MODEL_DEPLOYMENT, namespace, name)
        return None if found is None else (found,)

    async def _children(self, kind: Kind, namespace: str, name: str) -> tuple[Manifest, ...] | None:
        return await self._listed(kind, namespace, f"{MODEL_LABEL}={name}")

    async def _listed(self, kind: Kind, namespace: str, selector: str) -> tuple[Manifest, ...] | None:
        try:
            return (await self._client.list(kind, namespace, selector=selector)).items
        except NotFound:
            # The API server does not know the kind (yet).
            return None

    async def _find(self, namespace: str, refs: Iterable[Ref]) -> list[Manifest | None]:
        return await together(*(self._client.find(BY_KIND[ref.kind], namespace, ref.name) for ref in refs))

    async def _route(
        self, name: str, namespace: str, objects: Mapping[Ref, Manifest], spec: ModelDeploymentSpec, status: Status
    ) -> Route | None:
        """What divides the requests, as its router reads it."""
        router = ROUTERS[spec.traffic.router]
        endpoints: Sequence[Manifest] = ()
        if router.reads_endpoints:
            found = await self._client.list(ENDPOINT_SLICE, namespace, selector=f"{SERVICE_NAME}={name}")
            endpoints = found.items
        return router.read(Sight(name, objects, status.traffic.slots, endpoints))

    async def _gateways(
        self,
        spec: ModelDeploymentSpec | None,
        namespace: str,
        served: bool,
        known: dict[Parent, Gateway],
        team: Route | None,
    ) -> list[Gateway]:
        if spec is None or spec.traffic.router is RouterKind.REPLICA_RATIO:
            return []
        if not served:
            return [Gateway(NO_GATEWAY_API)]
        if team is not None:
            parents = tuple(dict.fromkeys((ref.namespace or namespace, ref.name) for ref in team.parents))
        else:
            parents = parents_of(spec, namespace, self._installation)
        if not parents and spec.traffic.route_ref is None:
            return [Gateway(NO_GATEWAY)]
        unknown = [parent for parent in parents if parent not in known]
        answers = await together(*(self._ask_gateway(parent) for parent in unknown))
        known.update(zip(unknown, answers, strict=True))
        return [known[parent] for parent in parents]

    async def _ask_gateway(self, parent: Parent) -> Gateway:
        try:
            found = await self._client.find(GATEWAY, *parent)
        except ApiError as error:
            if error.code != 403:
                raise
            return Gateway(f"Gateway {parent[0]}/{parent[1]} cannot be read by the operator: {error.message}")
        named = ((found or {}).get("spec") or {}).get("gatewayClassName") or ""
        return Gateway(gateway_problem(parent, found), str(named))

    async def _classes(self, gateways: Iterable[Gateway]) -> tuple[GatewayClass, ...]:
        names = dict.fromkeys(gateway.class_name for gateway in gateways if gateway.class_name)
        return tuple(await together(*(self._ask_class(name) for name in names)))

    async def _ask_class(self, name: str) -> GatewayClass:
        try:
            return parse_gateway_class(name, await self._client.find(GATEWAY_CLASS, None, name))
        except ApiError as error:
            if error.code != 403:
                raise
            return GatewayClass(name, unread=f"GatewayClass {name} cannot be read by the operator: {error.message}")

    # -- comparing ------------------------------------------------------------------------------------------------

    async def _edits(
        self,
        model: str,
        uid: str,
        objects: Mapping[Ref, Manifest],
        written: Mapping[str, Written],
        records: Mapping[str, Record],
    ) -> tuple[tuple[Ref, ...], frozenset[Ref]]:
        """(Edited by hand, moved by admission or defaults alone)."""
        different = [
            ref
            for ref, live in objects.items()
            if (entry := written.get(str(ref))) is not None and entry.live != fingerprint(live)
        ]
        drifted: set[Ref] = set()
        by_name = {child_name(model, record.revision): record for record in records.values()}
        for ref in different:
            record = by_name.get(ref.name)
            if (
                ref.kind == "Deployment"
                and record is not None
                and await self._drifted(objects[ref], record, model, uid)
            ):
                drifted.add(ref)
        return tuple(ref for ref in different if ref not in drifted), frozenset(drifted)

    async def _drifted(self, live: Manifest, record: Record, model: str, uid: str) -> bool:
        """Whether writing the record over a Deployment would change nothing of what is there."""
        wanted = owned(record.deployment, owner_reference(model, uid))
        wanted["spec"] = {**wanted["spec"], "replicas": (live.get("spec") or {}).get("replicas", 1)}
        try:
            answer = await self._client.replace(replacement(live, wanted), dry_run=True)
        except ApiError as error:
            if error.again:
                raise
            # It cannot even be written as it was born: an edit, and the write will say what is wrong.
            return False
        return fingerprint(answer) == fingerprint(live)


def _team_route(model: str, ref: RouteRef, found: Manifest | None) -> tuple[Route | None, Rule | None, str]:
    if found is None:
        missing = f"HTTPRoute {ref.name} does not exist in this namespace: create it, or name another"
        return None, None, f"{missing} in spec.traffic.routeRef.name"
    return parse_team_route(model, found, ref.rule)


def _rule_edited(
    model: str, rule: Rule | None, team: Manifest | None, written: Mapping[str, Written]
) -> tuple[Ref, ...]:
    """The rule, where it is not as our last write left it."""
    this = ref_of(model)
    entry = written.get(str(this))
    if entry is None or rule is None or team is None:
        return ()
    return () if entry.live == stands(model, team["spec"]["rules"][rule.index]) else (this,)


def _sort(children: Mapping[Kind, tuple[Manifest, ...]], uid: str) -> tuple[dict[Ref, Manifest], dict[Ref, Manifest]]:
    """(Ours, somebody else's under our label), pods left out."""
    objects: dict[Ref, Manifest] = {}
    strangers: dict[Ref, Manifest] = {}
    for kind in WRITTEN:
        for item in children.get(kind, ()):
            ref = Ref(kind.kind, item["metadata"]["name"])  # type: ignore[arg-type] # WRITTEN holds exactly Ref's kinds
            (objects if is_ours(item, uid) else strangers)[ref] = item
    return objects, strangers


def _needed(name: str, raw_spec: Mapping[str, object], spec: ModelDeploymentSpec | None) -> tuple[Ref, ...]:
    """Every name that this resource cannot do without."""
    if spec is None:
        return (Ref("Service", name),)
    holders = (Ref("Service", name), ROUTERS[spec.traffic.router].holder(name))
    always = tuple(ref for ref in dict.fromkeys(holders) if ref.kind in BY_KIND)  # a rule's name is taken by nobody
    child = child_name(name, revision(raw_spec))
    return (
        *always,
        Ref("ControllerRevision", child),
        Ref("Deployment", child),
        Ref("Service", child),
    )


def _shadows(spec: ModelDeploymentSpec) -> bool:
    return any(stage.shadow is not None for stage in spec.strategy.stages)


def _refs(written: Iterable[str]) -> Iterable[Ref]:
    for entry in written:
        kind, _, name = entry.partition("/")
        if BY_KIND.get(kind) in WRITTEN and name:
            yield Ref(kind, name)  # type: ignore[arg-type] # just checked


def _records(objects: Mapping[Ref, Manifest]) -> dict[str, Record]:
    found = (parse_record(obj) for ref, obj in objects.items() if ref.kind == "ControllerRevision")
    return {record.revision: record for record in found if record is not None}


def _rewritten(page: Page, objects: Iterable[Ref]) -> tuple[Ref, ...]:
    now = time.monotonic()
    return tuple(ref for ref in objects if page.contested(str(ref), now))
