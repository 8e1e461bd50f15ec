"""Watches on what our resources own, which wake the owner's key and remember next to nothing.

One metadata-only watch for each kind: of every object its uid, owner and version are kept, a few hundred
bytes instead of the eleven kilobytes of a whole child. What is in the objects is read live, by the pass
that is woken. Gateways are few and are watched whole, because only their conditions matter: their
metadata also changes whenever a route attaches. So are policies, of which everything matters.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from seatrial.api.base import KIND
from seatrial.build.names import MANAGED_BY, MANAGER, MODEL_LABEL
from seatrial.cluster.client import Client
from seatrial.cluster.errors import ApiError, Gone, NotAllowed, NotFound, Unreachable
from seatrial.cluster.freezes import Freezes, said_of
from seatrial.cluster.house import House
from seatrial.cluster.index import Key
from seatrial.cluster.kinds import (
    CLUSTER_TRIAL_POLICY,
    GATEWAY,
    HTTP_ROUTE,
    NAMESPACE,
    POD,
    TRIAL_POLICY,
    WRITTEN,
    Kind,
)
from seatrial.cluster.parse import Parent
from seatrial.core.conditions import condition
from seatrial.core.state import Manifest

logger = logging.getLogger(__name__)

FIRST_RETRY, LAST_RETRY = 0.5, 30.0
"""Seconds between attempts while a stream fails."""
ABSENT_RETRY = 15.0
"""Seconds between attempts while the API server does not know the kind."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What one stream watches."""

    kind: Kind
    selector: str = ""
    """Labels."""
    fields: str = ""
    metadata_only: bool = True
    every: bool = False
    """Every object is kept track of, those that concern nobody yet among them."""
    without: str = ""
    """What is missing while it does not run, for the log."""


CHILDREN = (
    *(Spec(kind, f"{MANAGED_BY}={MANAGER}") for kind in WRITTEN if kind is not HTTP_ROUTE),
    # Pods are made by others from our template; the label is what they have in common.
    Spec(POD, MODEL_LABEL),
)
ROUTES = Spec(HTTP_ROUTE)
"""All of them: a rule of a team's own route may be one that a resource steers."""
GATEWAYS = Spec(GATEWAY, metadata_only=False)
NAMESPACES = Spec(NAMESPACE, without="nothing can be frozen by an annotation meanwhile")
POLICIES = Spec(
    TRIAL_POLICY, metadata_only=False, every=True, without="no new trial begins meanwhile: house rules may be missed"
)
CLUSTER_POLICIES = replace(POLICIES, kind=CLUSTER_TRIAL_POLICY)


@dataclass(slots=True)
class _Seen:
    keys: frozenset[Key]
    version: str


@dataclass(slots=True)
class Stream:
    """One watch in one namespace, or in all."""

    client: Client
    spec: Spec
    namespace: str | None
    keys_of: Callable[[Manifest], Iterable[Key]]
    wake: Callable[[Key], None]
    version_of: Callable[[Manifest], str] = lambda item: str(item["metadata"].get("resourceVersion"))
    """What must change for a wake; the resourceVersion unless only a part matters."""
    take_note: Callable[[Manifest], None] = lambda _item: None
    """Told of every object that is there, before its keys are woken."""
    forget: Callable[[str], Iterable[Key]] = lambda _uid: ()
    """Told of every object that is there no longer, by its uid; says whom that is news to, besides its keys."""
    forbidden: Callable[[str], Iterable[Key]] = lambda _problem: ()
    """Told why the kind may not be read, or that it may (empty); says whom that is news to."""
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the first list is read, or the kind is known to be absent."""
    heard: float = 0.0
    """When the stream last proved to be alive, on the monotonic clock."""
    problem: str = ""
    """Why it does not run, or empty."""
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _failures: int = 0

    @property
    def name(self) -> str:
        """For logs."""
        return f"{self.spec.kind.plural} in {self.namespace or self.spec.fields or 'all namespaces'}"

    def __len__(self) -> int:
        return len(self._seen)

    async def run(self) -> None:
        """List, watch, go on where it broke off; for ever."""
        version = ""
        while True:
            try:
                if not version:
                    version = await self._list()
                version = await self._watch(version)
            except NotFound:
                version = ""
                if not self.problem:
                    logger.warning("the API server does not know %s; looking again", self.spec.kind.plural)
                self.problem = f"the API server does not know {self.spec.kind.plural}"
                self._forget_all()
                self._alive()
                self._wake(self.forbidden(""))
                self.listed.set()
                await asyncio.sleep(ABSENT_RETRY * random.uniform(0.8, 1.2))
            except Gone:
                logger.info("the watch of %s is too old to go on from; listing again", self.name)
                version = ""
            except ApiError as error:
                self._failures += 1
                told = self.problem == str(error)
                self.problem = str(error)
                # Broken and trying again is not stuck: ending the process would not mend the API server.
                self._alive()
                passing = isinstance(error, Unreachable) and self._failures == 1
                missed = f"; {self.spec.without}" if self.spec.without else ""
                level = logging.DEBUG if passing or told else logging.WARNING
                logger.log(level, "the watch of %s broke: %s%s", self.name, error, missed)
                if isinstance(error, NotAllowed):
                    # Forbidden is an answer too: the rest of the operator must not wait for this one.
                    self._alive()
                    self._wake(self.forbidden(str(error)))
                    self.listed.set()
                delay = min(LAST_RETRY, FIRST_RETRY * 2 ** min(self._failures - 1, 8)) * random.uniform(0.8, 1.2)
                await asyncio.sleep(max(delay, error.retry_after or 0.0))

    async def _list(self) -> str:
        """Read everything; what changed or went since the last time wakes its owner."""
        spec = self.spec
        gone = dict(self._seen)
        version = ""
        async for page in self.client.pages(
            spec.kind, self.namespace, selector=spec.selector, fields=spec.fields, metadata_only=spec.metadata_only
        ):
            version = page.resource_version
            for item in page.items:
                gone.pop(str(item["metadata"]["uid"]), None)
                self._note(item)
        for uid, seen in gone.items():
            del self._seen[uid]
            self._wake({*seen.keys, *self.forget(uid)})
        self._alive()
        self.problem = ""
        self._wake(self.forbidden(""))
        self.listed.set()
        return version

    async def _watch(self, version: str) -> str:
        spec = self.spec
        # Servers end watches too; the spread keeps all of ours from ending at once.
        seconds = int(240 * random.uniform(1.0, 1.5))
        stream = self.client.watch(
            spec.kind,
            self.namespace,
            version,
            selector=spec.selector,
            fields=spec.fields,
            metadata_only=spec.metadata_only,
            seconds=seconds,
        )
        try:
            async for event in stream:
                self._alive()
                self.problem = ""
                self._failures = 0
                version = str(event.object["metadata"]["resourceVersion"])
                if event.type == "DELETED":
                    seen = self._seen.pop(str(event.object["metadata"]["uid"]), None)
                    gone = self.forget(str(event.object["metadata"]["uid"]))
                    self._wake({*self.keys_of(event.object), *(seen.keys if seen else ()), *gone})
                elif event.type != "BOOKMARK":
                    self._note(event.object)
        except Unreachable as error:
            # Cut in the middle: go on from the last version that was read.
            logger.debug("the watch of %s was cut: %s", self.name, error)
            self._failures += 1
            self._alive()
            delay = min(LAST_RETRY, FIRST_RETRY * 2 ** min(self._failures - 1, 8))
            await asyncio.sleep(delay * random.uniform(0.8, 1.2))
            return version
        self._failures = 0
        self._alive()
        return version

    def _note(self, item: Manifest) -> None:
        self.take_note(item)
        uid, version = str(item["metadata"]["uid"]), self.version_of(item)
        keys = frozenset(self.keys_of(item))
        before = self._seen.get(uid)
        if before is None and not keys and not self.spec.every:
            return  # nobody's
        if before is not None and before.version == version and before.keys == keys:
            return
        self._seen[uid] = _Seen(keys, version)
        self._wake(keys | (before.keys if before is not None else frozenset()))

    def _forget_all(self) -> None:
        for uid, seen in self._seen.items():
            self._wake({*seen.keys, *self.forget(uid)})
        self._seen.clear()

    def _wake(self, keys: Iterable[Key]) -> None:
        if not self.listed.is_set():
            # Before the first list is read nobody has looked at anything, and everybody will.
            return
        for key in keys:
            self.wake(key)

    def _alive(self) -> None:
        self.heard = time.monotonic()


def owner_keys(item: Manifest) -> Iterable[Key]:
    """The ModelDeployment that controls an object; for a pod, the one its label names."""
    metadata = item["metadata"]
    namespace = metadata["namespace"]
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") and owner.get("kind") == KIND:
            return [(namespace, str(owner["name"]))]
    name = (metadata.get("labels") or {}).get(MODEL_LABEL)
    return [(namespace, name)] if name else []


def gateway_conditions(gateway: Manifest) -> str:
    """What of a Gateway matters to those who attach to it: its listeners, and whether it is accepted."""
    conditions = (gateway.get("status") or {}).get("conditions")
    said = [
        (kind, found.get("status"), found.get("message"))
        for kind in ("Accepted", "Programmed")
        if (found := condition(conditions, kind))
    ]
    return repr((gateway["metadata"].get("generation"), said))


def _generation(item: Manifest) -> str:
    """What of a policy matters is its spec."""
    return str(item["metadata"].get("generation"))


def _namespaces(watched: Iterable[str] | None, home: str) -> list[Spec]:
    """All namespaces in one watch; or each that matters by its name, which a narrow role can allow."""
    if watched is None:
        return [NAMESPACES]
    return [replace(NAMESPACES, fields=f"metadata.name={name}") for name in dict.fromkeys((*watched, home)) if name]


class Streams:
    """All streams of an operator."""

    def __init__(
        self,
        client: Client,
        namespaces: Iterable[str] | None,
        wake: Callable[[Key], None],
        attached: Callable[[Parent], Iterable[Key]],
        routed: Callable[[tuple[str, str]], Iterable[Key]],
        gateway_namespaces: Iterable[str] | None,
        freezes: Freezes,
        house: House,
    ) -> None:
        def gateway_keys(item: Manifest) -> Iterable[Key]:
            return attached((item["metadata"]["namespace"], item["metadata"]["name"]))

        def route_keys(item: Manifest) -> Iterable[Key]:
            return {*owner_keys(item), *routed((item["metadata"]["namespace"], item["metadata"]["name"]))}

        def note_namespace(item: Manifest) -> None:
            freezes.note(item)
            house.note_namespace(item)

        def told(spec: Spec, namespace: str | None) -> Callable[[str], Iterable[Key]]:
            return lambda problem: house.told(f"{spec.kind.plural} {namespace} {spec.fields}", problem)

        def policies(spec: Spec, namespace: str | None) -> Stream:
            version = _generation
            return Stream(
                client, spec, namespace, house.concerned, wake, version, house.note, house.forget, told(spec, namespace)
            )

        where = [None] if namespaces is None else list(namespaces)
        gateways_where = [None] if gateway_namespaces is None else list(gateway_namespaces)
        self.all = [
            *(Stream(client, spec, namespace, owner_keys, wake) for spec in CHILDREN for namespace in where),
            *(Stream(client, ROUTES, namespace, route_keys, wake) for namespace in where),
            *(
                Stream(client, GATEWAYS, namespace, gateway_keys, wake, gateway_conditions)
                for namespace in gateways_where
            ),
            *(
                Stream(
                    client,
                    spec,
                    None,
                    lambda item: freezes.concerned(item) | house.concerned_by(item),
                    wake,
                    lambda item: repr((said_of(item), house.heeded(item))),
                    note_namespace,
                )
                for spec in _namespaces(namespaces, freezes.home)
            ),
            policies(CLUSTER_POLICIES, None),
            *(policies(POLICIES, namespace) for namespace in where),
        ]

    async def run(self) -> None:
        """Run all of them; one that fails keeps trying by itself."""
        async with asyncio.TaskGroup() as group:
            for stream in self.all:
                group.create_task(stream.run(), name=f"stream {stream.name}")

    async def listed(self) -> None:
        """Wait until each has been listed once."""
        for stream in self.all:
            await stream.listed.wait()

    def silent(self, seconds: float) -> list[str]:
        """Streams that have been listed once and have not been heard for so long."""
        now = time.monotonic()
        return [stream.name for stream in self.all if stream.listed.is_set() and now - stream.heard > seconds]
