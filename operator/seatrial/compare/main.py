"""`seatrial compare`: settings, servers, and an orderly end."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal

from seatrial import __version__
from seatrial.compare.meters import Meters
from seatrial.compare.server import Comparer
from seatrial.compare.settings import Settings, from_args
from seatrial.runtime import process
from seatrial.runtime.endpoints import Endpoints
from seatrial.runtime.process import STOPPED, UNUSABLE

logger = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Compare until told to stop; the process's exit code."""
    return process.run("seatrial compare", lambda: from_args(args), serve)


async def serve(settings: Settings) -> int:
    """Work until SIGTERM or SIGINT."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    meters = Meters()
    comparer = Comparer(settings, meters)
    endpoints = Endpoints(alive=comparer.problems, ready=comparer.problems, metrics=meters.render)
    try:
        await comparer.start()
        await endpoints.start(settings.bind, settings.metrics_port, settings.metrics_port)
        logger.info(
            "seatrial %s compares %s with %s: %s, at most %g requests a second, %d at a time, on port %d",
            __version__,
            settings.candidate,
            settings.stable,
            settings.same.mode,
            settings.rate,
            settings.concurrency,
            comparer.port,
        )
        await told.wait()
        logger.info("stopped")
        return STOPPED
    except OSError as error:
        logger.error("cannot listen: %s; choose other ports with --port and --metrics-port", error)  # noqa: TRY400
        return UNUSABLE
    finally:
        await endpoints.close()
        await comparer.close()
