"""The leader's work: Kopf's watch of ModelDeployments, our watches of their children, the workers.

Kopf does one thing here: its watch puts keys into our queue. Its handlers, finalizers, annotations,
progress storage and peering are not used (docs/adr has the reasons), and it writes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import kopf

from seatrial.api.base import GROUP, PLURAL, VERSION
from seatrial.api.status import Phase
from seatrial.build.names import COMMANDS
from seatrial.build.revision import digest
from seatrial.cluster.client import Client, Connection
from seatrial.cluster.errors import ApiError
from seatrial.cluster.index import Index, Key
from seatrial.cluster.kinds import MODEL_DEPLOYMENT
from seatrial.cluster.streams import Streams
from seatrial.core.state import Installation, Manifest
from seatrial.runtime.queue import AgainError, WorkQueue
from seatrial.runtime.reconcile import MetricSource, Reconciler
from seatrial.runtime.settings import Settings
from seatrial.runtime.telemetry import Telemetry

logger = logging.getLogger(__name__)

SETTLE = 0.05
"""Seconds that a wake waits for others: a pod that becomes ready changes three objects."""
DRAIN = 3.0
"""Seconds that passes in hand have to finish when the process is told to stop."""
STUCK = 300.0
"""Seconds after which a pass that does not end, or a watch that is not heard of, counts as a hang."""
RESTING = {Phase.STABLE, Phase.ROLLED_BACK, Phase.FAILED, Phase.SUSPENDED, Phase.PARKED}
"""Phases in which nothing moves by itself."""
BATCH = 25
"""Resources that are looked at together at the start."""
RESYNC = 1800.0
"""Seconds between two looks for resources that a watch has missed."""


class Operator:
    """What the holder of the Lease does."""

    def __init__(
        self,
        client: Client,
        settings: Settings,
        installation: Installation,
        source: MetricSource,
        telemetry: Telemetry,
        *,
        on_spawned: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._settings = settings
        self._telemetry = telemetry
        self._on_spawned = on_spawned
        self._namespaces: Sequence[str] | None = settings.namespaces or None
        self.stopping = asyncio.Event()
        self.index = Index(installation)
        self.queue: WorkQueue[Key] = WorkQueue(on_error=_log_error, on_start=telemetry.late)
        telemetry.watch_queue(lambda: len(self.queue), lambda: self.queue.busy)
        self.reconciler = Reconciler(
            client,
            installation,
            source,
            index=self.index,
            telemetry=telemetry,
            wake=self.wake,
            instance=settings.identity,
        )
        gateways = None
        if self._namespaces is not None:
            default = [installation.gateway[0]] if installation.gateway is not None else []
            gateways = list(dict.fromkeys([*self._namespaces, *default]))
        self.streams = Streams(
            client,
            self._namespaces,
            self.wake,
            self.index.attached,
            self.index.routed,
            gateways,
            self.index.freezes,
            self.index.house,
        )
        self._waiting_for = "the list of ModelDeployments"
        self._seen: dict[Key, str] = {}

    def wake(self, key: Key) -> None:
        """Something happened to a resource or to what it owns."""
        self.queue.add(key, SETTLE)

    def alive(self) -> list[str]:
        """What hangs; nothing when all is well."""
        problems = [f"the watch of {name} is not heard of" for name in self.streams.silent(STUCK)]
        if self.queue.longest > STUCK:
            problems.append(f"a pass has taken {self.queue.longest:.0f} s")
        return problems

    def ready(self) -> list[str]:
        """What is not there yet."""
        return [f"waiting for {self._waiting_for}"] if self._waiting_for else []

    async def work(self) -> None:
        """Everything, until `stopping` is set; raises when a part of it ends by itself."""
        await self._wait_for_definition()
        resting = await self._list()
        tasks = [asyncio.create_task(self.streams.run(), name="streams")]
        looks: asyncio.Task[None] | None = None
        try:
            self._waiting_for = "the first lists of children"
            await self._first(self.streams.listed(), tasks)
            looks = asyncio.create_task(self._first_looks(resting), name="first looks")
            self._waiting_for = ""
            working = asyncio.create_task(self.queue.run(self._settings.workers, self.reconciler), name="workers")
            tasks += [
                working,
                asyncio.create_task(self._resync(), name="resync"),
                asyncio.create_task(self._kopf(), name="kopf"),
            ]
            await self._first(self.stopping.wait(), tasks)
            self.queue.stop()
            await asyncio.wait({working}, timeout=DRAIN)
        finally:
            self._waiting_for = "the end of the process"
            ending = [*tasks, *([looks] if looks is not None else [])]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            await self.reconciler.preflight.close()

    async def _first(self, goal: Any, tasks: Sequence[asyncio.Task[Any]]) -> None:
        """Wait for the goal; a task that ends before is an error, since none of them is meant to."""
        waiter = asyncio.ensure_future(goal)
        stop = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({waiter, stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and not self.stopping.is_set():
                    task.result()
                    raise RuntimeError(f"{task.get_name()} ended by itself")
        finally:
            waiter.cancel()
            stop.cancel()
            await asyncio.gather(waiter, stop, return_exceptions=True)

    async def _wait_for_definition(self) -> None:
        """Kopf, told not to scan, never notices a kind that appears later: wait for it here."""
        told = False
        while not self.stopping.is_set():
            try:
                if await self._client.serves(MODEL_DEPLOYMENT):
                    return
                problem = "the API server does not know ModelDeployments: install the chart's custom resource"
            except ApiError as error:
                problem = str(error)
            self._waiting_for = problem
            (logger.debug if told else logger.warning)("%s; looking again every 2 s", problem)
            told = True
            await asyncio.sleep(2)

    async def _list(self) -> set[Key]:
        """Know every resource before the first pass, so that none takes another's host name.

        Those that seem to be at rest are returned; the others are in the queue. Nothing is kept of a page
        but that: a thousand resources in memory at once would stay in the size of the process.
        """
        wait = 0.5
        while not self.stopping.is_set():
            resting: set[Key] = set()
            try:
                async for page in self._pages():
                    for item in page:
                        self._meet(item, resting)
                return resting
            except ApiError as error:
                self._waiting_for = f"the list of ModelDeployments: {error}"
                logger.warning("could not list ModelDeployments: %s", error)
                await asyncio.sleep(wait)
                wait = min(30.0, wait * 2)
        return set()

    def _meet(self, item: Manifest, resting: set[Key]) -> None:
        key = _key(item)
        self.index.put(item)
        # Kopf lists them once more; what it brings is no news then.
        self._seen[key] = _face(item)
        self.reconciler.expected.setdefault(key, _status_hash(item))
        if _seems_at_rest(item):
            resting.add(key)
        else:
            self.queue.add(key)

    async def _first_looks(self, resting: set[Key]) -> None:
        """Look at what seems to be at rest, many at a time; whatever is not goes to the queue."""
        try:
            async for page in self._pages(BATCH):
                for batch in _by_namespace(item for item in page if _key(item) in resting):
                    found = await self.reconciler.at_rest(batch)
                    for key, after in found.items():
                        resting.discard(key)
                        if after is not None:
                            self.queue.add(key, after)
        except Exception as error:  # noqa: BLE001 - an ordinary pass for each does the same, one by one
            logger.warning("could not look at many resources together: %r", error)
        for key in resting:
            self.queue.add(key)

    async def _pages(self, size: int | None = None, *, metadata_only: bool = False) -> AsyncIterator[list[Manifest]]:
        for namespace in self._namespaces or (None,):
            pages = self._client.pages(MODEL_DEPLOYMENT, namespace, metadata_only=metadata_only, size=size)
            async for page in pages:
                yield list(page.items)

    async def _resync(self) -> None:
        """Kopf tells of no deletion that fell into a gap of its watch; find such ghosts, slowly."""
        while True:
            await asyncio.sleep(RESYNC)
            try:
                exist = {_key(item) async for page in self._pages(metadata_only=True) for item in page}
            except ApiError as error:
                logger.warning("could not list ModelDeployments: %s", error)
                continue
            for key in exist ^ set(self.index.claims):
                self.wake(key)

    # -- Kopf -----------------------------------------------------------------------------------------------------

    async def _kopf(self) -> None:
        ours = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=kopf_settings(),
            standalone=True,
            clusterwide=self._namespaces is None,
            namespaces=self._namespaces or (),
        )
        # It has taken the process's signal handlers for itself by now.
        self._on_spawned()
        # On its way out Kopf cancels every task but those it is told to leave alone.
        await kopf.run_tasks(tasks, ignored=ours)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: object) -> kopf.ConnectionInfo:
            return await connection_info(self._client.connection)

        @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
        async def changed(type: str | None, event: Any, **_: object) -> None:  # noqa: A002 - Kopf's name
            self.changed(type, dict(event["object"]))

        return registry

    def changed(self, kind: str | None, resource: Manifest) -> None:
        """The watch brought a ModelDeployment."""
        key = _key(resource)
        if kind == "DELETED":
            self._seen.pop(key, None)
            self.queue.add(key)
            return
        for other in self.index.put(resource):
            self.wake(other)
        face, own = _face(resource), self.reconciler.expected.get(key)
        if self._seen.get(key) == face and own is not None and own == _status_hash(resource):
            # Our own status coming back: nothing that a pass does not know.
            return
        self._seen[key] = face
        self.wake(key)


def kopf_settings() -> kopf.OperatorSettings:
    """Kopf as a watcher and nothing more: it posts nothing, scans nothing, patches nothing."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.posting.loggers = False
    settings.scanning.disabled = True
    settings.networking.request_timeout = 20
    settings.networking.connect_timeout = 5
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.connect_timeout = 10
    # queueing.worker_limit stays unset: it caps throughput at limit / idle_timeout.
    return settings


async def connection_info(connection: Connection) -> kopf.ConnectionInfo:
    """Our credentials, for Kopf. It asks again when they are refused."""
    configuration = connection.configuration
    await connection.renew()
    header = (await connection.headers()).get("Authorization", "")
    scheme, _, token = header.partition(" ")
    return kopf.ConnectionInfo(
        server=connection.server,
        ca_path=configuration.ssl_ca_cert,
        ca_data=configuration.ca_cert_data,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        scheme=scheme.capitalize() or None,
        token=token or None,
        proxy_url=configuration.proxy,
        trust_env=True,
    )


def _key(resource: Manifest) -> Key:
    metadata = resource["metadata"]
    return str(metadata["namespace"]), str(metadata["name"])


def _face(resource: Manifest) -> str:
    """What of a ModelDeployment others write and passes act on, its status left out."""
    metadata = resource["metadata"]
    said = (metadata.get("annotations") or {}).get(COMMANDS)
    return digest([metadata.get("uid"), metadata.get("generation"), metadata.get("deletionTimestamp"), said], 16)


def _by_namespace(items: Iterable[Manifest]) -> list[list[Manifest]]:
    found: dict[str, list[Manifest]] = {}
    for item in items:
        found.setdefault(_key(item)[0], []).append(item)
    return list(found.values())


def _seems_at_rest(resource: Manifest) -> bool:
    status = resource.get("status") or {}
    return (
        not status.get("rollout")
        and status.get("phase") in RESTING
        and status.get("observedGeneration") == resource["metadata"].get("generation")
    )


def _status_hash(resource: Manifest) -> str:
    return digest(resource.get("status") or {}, 16)


def _log_error(key: Key, error: Exception, after: float) -> None:
    about = {"namespace": key[0], "model": key[1]}
    if isinstance(error, AgainError):
        logger.info("again in %.1f s: %s", after, error, extra=about)
    else:
        logger.error("the pass broke, again in %.1f s: %r", after, error, exc_info=error, extra=about)
