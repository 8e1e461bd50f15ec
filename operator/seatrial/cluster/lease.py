"""One writer at a time, held by a Lease. On doubt: stop the work, then leave the process.

Peering as Kopf does it is no lock (two operators can overlap for a minute), and the leader election of
the `kubernetes` package goes on working for seconds after the API server is gone. The rules here:

* A renewal is a PUT under the resourceVersion that was read, so two candidates cannot both succeed.
* Somebody else's lease has run out when *we* have not seen it change for its duration, on our own
  monotonic clock. Clocks of two machines are never compared.
* Our own lease counts from *before* a renewal was sent, and work stops at `deadline`, well before
  another may take it at `duration`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from seatrial.cluster.client import Client
from seatrial.cluster.errors import AlreadyExists, ApiError, Conflict, NotAllowed, NotFound
from seatrial.cluster.kinds import LEASE
from seatrial.core.state import Manifest

logger = logging.getLogger(__name__)

NAME = "seatrial"
"""The Lease's name."""


class LostLeadershipError(Exception):
    """The Lease could not be renewed in time; another operator may be leading already."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `retry` < `deadline` < `duration`."""

    duration: float = 15.0
    """How long a lease holds without a renewal."""
    deadline: float = 10.0
    """How long the leader goes on without a renewal."""
    retry: float = 2.0
    """Between two attempts."""

    def __post_init__(self) -> None:
        if not self.retry < self.deadline < self.duration:
            raise ValueError("a lease needs retry < deadline < duration")


class Lease:
    """One candidate for the Lease of an installation."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        me: str,
        *,
        name: str = NAME,
        pace: Pace = Pace(),
        on_change: Callable[[bool], None] = lambda _leading: None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._me = me
        self._pace = pace
        self._on_change = on_change
        self._seen: tuple[str, float] = ("", 0.0)
        self._held: Manifest | None = None
        """The Lease as we wrote it last: a renewal needs no read, its version tells if anybody wrote since."""
        self.holder = ""
        """Who holds it, as last read."""
        self.leading = False
        """Whether we do."""
        self.problem = ""
        """Why the last attempt failed, or empty."""

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait to lead, then work; the work is cancelled when the Lease cannot be renewed.

        Raises `LostLeadershipError` then: the process must end, since what it had in hand is unknown. The
        Lease is given back when the work ends by itself or is cancelled from outside.
        """
        await self._acquire()
        self._lead(True)
        renewed = time.monotonic()
        task = asyncio.ensure_future(work())
        lost = False
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=self._pace.retry)
                if task.done():
                    break
                begun = time.monotonic()
                left = self._pace.deadline - (begun - renewed)
                if await self._attempt(max(0.1, min(self._pace.retry, left))):
                    renewed = begun
                elif time.monotonic() - renewed > self._pace.deadline - self._pace.retry:
                    lost = True
                    raise LostLeadershipError(
                        f"Lease {self._namespace}/{self._name} was not renewed for "
                        f"{time.monotonic() - renewed:.1f} s (holder: {self.holder or 'unknown'})"
                    )
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._lead(False)
            if not lost:
                await asyncio.shield(self._release())

    async def _acquire(self) -> None:
        waiting = ""
        while not await self._attempt(self._pace.retry):
            if self.holder and self.holder != waiting:
                waiting = self.holder
                logger.info("standing by: Lease %s/%s is held by %s", self._namespace, self._name, waiting)
            await asyncio.sleep(self._pace.retry * random.uniform(0.8, 1.2))

    def _lead(self, leading: bool) -> None:
        if leading != self.leading:
            self.leading = leading
            self._on_change(leading)
            logger.info("%s Lease %s/%s", "holding" if leading else "no longer holding", self._namespace, self._name)

    async def _attempt(self, seconds: float) -> bool:
        """Take or renew, within a time; whether it is ours now."""
        try:
            async with asyncio.timeout(seconds):
                held = await self._try()
                self.problem = ""
                return held
        except Conflict:
            return False
        except NotAllowed as error:
            self._complain(f"the operator may not use its Lease: {error}")
        except NotFound:
            self._complain(
                f"namespace {self._namespace} does not exist: create it, or choose another with --lease-namespace"
            )
        except (ApiError, TimeoutError, KeyError, TypeError, ValueError) as error:
            self._complain(f"the attempt for Lease {self._namespace}/{self._name} failed: {error!r}")
        return False

    def _complain(self, problem: str) -> None:
        """Say what is wrong, once for as long as it stays the same."""
        logger.log(logging.DEBUG if problem == self.problem else logging.ERROR, "%s", problem)
        self.problem = problem

    async def _try(self) -> bool:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        wanted = {
            "holderIdentity": self._me,
            "leaseDurationSeconds": max(1, round(self._pace.duration)),
            "renewTime": now,
        }
        # Forgotten until the answer is there: without one, only a read can tell what is stored.
        lease, self._held = self._held, None
        if lease is None:
            lease = await self._client.find(LEASE, self._namespace, self._name)
        if lease is None:
            try:
                new = {**wanted, "acquireTime": now, "leaseTransitions": 0}
                self._held = await self._client.create(self._new(new))
            except AlreadyExists:
                return False
            self.holder = self._me
            return True
        spec, version = lease.get("spec") or {}, lease["metadata"]["resourceVersion"]
        self.holder = spec.get("holderIdentity") or ""
        if self.holder not in ("", self._me):
            if self._seen[0] != version:
                self._seen = (version, time.monotonic())
            if time.monotonic() - self._seen[1] < float(spec.get("leaseDurationSeconds") or self._pace.duration):
                return False
            logger.info("the lease of %s has run out", self.holder)
        if self.holder != self._me:
            wanted |= {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
        lease["spec"] = {**spec, **wanted}
        self._held = await self._client.replace({**lease, "apiVersion": LEASE.api_version, "kind": LEASE.kind})
        self.holder = self._me
        return True

    def _new(self, spec: Manifest) -> Manifest:
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": spec,
        }

    async def _release(self) -> None:
        """Clear the holder, so that a successor need not wait for the lease to run out."""
        try:
            async with asyncio.timeout(min(2.0, self._pace.retry)):
                lease = await self._client.get(LEASE, self._namespace, self._name)
                spec = lease.get("spec") or {}
                if spec.get("holderIdentity") != self._me:
                    return
                lease["spec"] = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.replace({**lease, "apiVersion": LEASE.api_version, "kind": LEASE.kind})
                logger.info("gave back Lease %s/%s", self._namespace, self._name)
        except (ApiError, TimeoutError) as error:
            logger.warning("could not give back Lease %s/%s: %r", self._namespace, self._name, error)
