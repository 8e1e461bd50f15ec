"""`seatrial run`: settings, connection, Lease, work; and an orderly end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable

from seatrial import __version__
from seatrial.cluster.client import Client, Connection
from seatrial.cluster.errors import ApiError
from seatrial.cluster.lease import Lease, LostLeadershipError
from seatrial.core.state import Installation
from seatrial.metrics import presets
from seatrial.metrics.source import PrometheusSource
from seatrial.runtime import process
from seatrial.runtime.endpoints import Endpoints
from seatrial.runtime.operator import Operator
from seatrial.runtime.process import FAILED, STOPPED, UNUSABLE
from seatrial.runtime.reconcile import NoSource
from seatrial.runtime.settings import Settings, from_args
from seatrial.runtime.telemetry import Telemetry

logger = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Run the operator until it is told to stop; the process's exit code."""
    return process.run("seatrial run", lambda: from_args(args), serve)


async def serve(settings: Settings) -> int:
    """Hold the Lease and work, or stand by."""
    telemetry = Telemetry()
    try:
        connection = await Connection.find(settings.kubeconfig, settings.context)
    except ApiError as error:
        logger.error("%s", error)  # noqa: TRY400 - the sentence is all there is to say
        return UNUSABLE
    async with Client(connection, on_call=telemetry.call) as client:
        return await _lead(settings, client, telemetry)


async def _lead(settings: Settings, client: Client, telemetry: Telemetry) -> int:
    installation = installation_of(settings)
    loop = asyncio.get_running_loop()
    stop_once: list[Callable[[], None]] = []
    source = source_of(settings, telemetry)

    def install_signals() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError, RuntimeError):
                loop.add_signal_handler(number, lambda: [stop() for stop in stop_once])

    operator = Operator(
        client,
        settings,
        installation,
        source,
        telemetry,
        on_spawned=install_signals,
    )
    lease = Lease(client, settings.lease_namespace, settings.identity, on_change=telemetry.leader)

    def ready() -> list[str]:
        if lease.leading:
            return operator.ready()
        # Standing by is ready: there is nothing better this process could do.
        return [] if lease.holder else [lease.problem or "the Lease has not been read yet"]

    endpoints = Endpoints(alive=operator.alive, ready=ready, metrics=telemetry.render)
    try:
        await endpoints.start(settings.bind, settings.probe_port or None, settings.metrics_port or None)
    except OSError as error:
        logger.error("cannot listen: %s; choose other ports with --probe-port and --metrics-port", error)  # noqa: TRY400
        await endpoints.close()
        source.close()
        return UNUSABLE
    logger.info(
        "seatrial %s, API server %s, watching %s, Lease in %s, Prometheus %s, default Gateway %s",
        __version__,
        client.connection.server,
        ", ".join(settings.namespaces) or "all namespaces",
        settings.lease_namespace,
        settings.prometheus_url or "not set",
        "/".join(settings.gateway) if settings.gateway else "not set",
    )
    work = asyncio.create_task(lease.run(operator.work), name="lease")

    def stop() -> None:
        """Once: let the work end in order. While standing by there is nothing to end."""
        if operator.stopping.is_set() or not lease.leading:
            work.cancel()
        operator.stopping.set()

    stop_once.append(stop)
    install_signals()
    try:
        await asyncio.wait({work})
        if work.cancelled():
            return STOPPED
        work.result()
        logger.info("stopped")
        return STOPPED
    except LostLeadershipError as error:
        # What is in hand may be in anybody's hand by now: leave, and begin anew as a candidate.
        logger.error("%s", error)  # noqa: TRY400
        return FAILED
    except Exception:
        logger.exception("a part of the operator ended; leaving, to begin anew")
        return FAILED
    finally:
        await endpoints.close()
        source.close()


def installation_of(settings: Settings) -> Installation:
    """What decisions need to know of the settings."""
    return Installation(
        gateway=settings.gateway,
        dwell=settings.dwell,
        prometheus=settings.prometheus_url,
        image=settings.image,
        home=settings.lease_namespace,
        trials=settings.max_trials,
        trials_in_namespace=settings.max_trials_per_namespace,
        authors_kept=settings.authors_kept,
        gitops_accounts=settings.gitops_accounts,
        unsafe_traffic=settings.unsafe_traffic,
        presets=presets.load(),
    )


def source_of(settings: Settings, telemetry: Telemetry) -> PrometheusSource | NoSource:
    """Where metrics come from."""
    if not settings.prometheus_url:
        return NoSource()
    return PrometheusSource(settings.prometheus_url, settings.headers, on_request=telemetry.prometheus)
