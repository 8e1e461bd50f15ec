"""``python3 -m dev.traffic``."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from dev.errors import DevError
from dev.traffic.addresses import resolve
from dev.traffic.engine import Engine, Settings
from dev.traffic.report import Report, Request, Second

MOST_RATE = 1000.0
MOST_REQUESTS = 500_000
MOST_SECONDS = 3600.0
MOST_DEADLINE = 300.0

EPILOG = """\
A requests file has one JSON object a line: {"body": {...}, "data": [1]}. The bodies are sent in turn; where "data"
is given, `outputs[0].data` of the answer has to equal it. With "events": 9 the answer is a stream of so many
server-sent events with the ids 0 to 8, each of them such an answer. Exit code 0: nothing was lost; 1: something was.

example:
  python3 -m dev.traffic --address 198.19.0.10:80 --host iris.example.com --path /v2/models/iris/infer \\
      --requests rows.jsonl --rate 100 --seconds 30
"""


def parser() -> argparse.ArgumentParser:
    """The whole grammar in one place."""
    top = argparse.ArgumentParser(
        prog="python3 -m dev.traffic",
        description="Send inference requests at a constant rate, retry nothing, and count what was lost.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--address", required=True, metavar="IP:PORT", help="where to connect")
    top.add_argument("--host", required=True, help="the Host header: the model's host name")
    top.add_argument("--path", required=True, help="such as /v2/models/NAME/infer")
    top.add_argument("--requests", required=True, type=Path, metavar="FILE", help="what to send, see below")
    top.add_argument("--rate", type=float, default=100, help=f"requests a second, at most {MOST_RATE:g} (default 100)")
    top.add_argument("--seconds", type=float, default=60, help=f"how long, at most {MOST_SECONDS:g} (default 60)")
    top.add_argument(
        "--deadline",
        type=float,
        default=5,
        metavar="S",
        help=f"seconds until it is lost, at most {MOST_DEADLINE:g} (default 5)",
    )
    top.add_argument("--stall", type=float, metavar="S", help="seconds without a byte until it is lost (default: any)")
    top.add_argument(
        "--fresh-every",
        type=int,
        default=4,
        metavar="N",
        help="each N-th request has a connection of its own, the others are kept alive; 0: none (default 4)",
    )
    top.add_argument(
        "--anywhere", action="store_true", help="allow addresses beyond this machine and the local cluster"
    )
    top.add_argument("--json", action="store_true", help="write JSON lines: each second as it ends, then the report")
    top.add_argument("--until-stdin-closes", action="store_true", help=argparse.SUPPRESS)
    return top


def settings(args: argparse.Namespace) -> Settings:
    """Check the arguments against each other and against the bounds."""
    host, _, port = args.address.rpartition(":")
    if not (host and port.isdigit()):
        raise DevError(f"--address is IP:PORT, not {args.address!r}.")
    if not 0 < args.rate <= MOST_RATE:
        raise DevError(f"--rate is above 0 and at most {MOST_RATE:g}.")
    if not 0 < args.seconds <= MOST_SECONDS:
        raise DevError(f"--seconds is above 0 and at most {MOST_SECONDS:g}.")
    if not 0 < args.deadline <= MOST_DEADLINE:
        raise DevError(f"--deadline is above 0 and at most {MOST_DEADLINE:g}.")
    if args.stall is not None and not 0 < args.stall <= args.deadline:
        raise DevError("--stall is above 0 and at most the deadline.")
    total = int(args.rate * args.seconds)
    if total > MOST_REQUESTS:
        raise DevError(f"{total} requests are more than the {MOST_REQUESTS} that one run may send.")
    requests = [Request.parse(line) for line in args.requests.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not requests:
        raise DevError(f"{args.requests} holds no request.")
    return Settings(
        address=resolve(host, int(port), args.anywhere),
        host=args.host,
        path=args.path,
        requests=requests,
        rate=args.rate,
        total=total,
        deadline=args.deadline,
        fresh_every=args.fresh_every,
        stall=args.stall,
    )


def _second(second: Second) -> None:
    print(json.dumps({"second": asdict(second)}), flush=True)


async def _run(what: Settings, as_json: bool, until_stdin_closes: bool) -> Report:
    engine = Engine(what, _second if as_json else lambda _: None)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, engine.stop)
    if until_stdin_closes:
        loop.add_reader(0, _stdin_closed, loop, engine)
    if as_json:
        print('"sending"', flush=True)
    return await engine.run()


def _stdin_closed(loop: asyncio.AbstractEventLoop, engine: Engine) -> None:
    """The owner has closed its end, or has died."""
    if not os.read(0, 1024):
        loop.remove_reader(0)
        engine.stop()


def main(argv: Sequence[str] | None = None) -> int:
    """Send, report, and exit with 0 if nothing was lost."""
    args = parser().parse_args(argv)
    try:
        what = settings(args)
    except (DevError, OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    # What was loaded so far stays for good; a collection then never takes long enough to make a request late.
    gc.freeze()
    report = asyncio.run(_run(what, args.json, args.until_stdin_closes))
    print(json.dumps({"report": report.to_json()}) if args.json else report.text(), flush=True)
    return 1 if report.lost else 0


if __name__ == "__main__":
    sys.exit(main())
