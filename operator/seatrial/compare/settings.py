"""What the comparer is told: the flags of `seatrial compare`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from seatrial.api.mode import AgreementMode
from seatrial.core.answers import Sameness
from seatrial.runtime.process import SettingsError


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the process is told."""

    stable: str
    """Base URL of the accepted revision."""
    candidate: str
    """Base URL of the revision on trial."""
    same: Sameness = field(default_factory=Sameness)
    outputs: tuple[str, ...] = ()
    """Outputs that are compared; empty for all that stable's answer has."""
    rate: float = 2.0
    """Requests compared a second, at most."""
    concurrency: int = 1
    """Requests compared at a time."""
    queue: int = 16
    """Requests that may wait."""
    max_body: int = 1024 * 1024
    """Bytes of a request or an answer."""
    timeout: float = 10.0
    """Seconds for one answer."""
    port: int = 8080
    """Where copies come in; 0 takes a free one."""
    metrics_port: int = 8081
    """Where probes and metrics are."""
    bind: str = ""
    """Address of both; empty for all addresses."""
    log_format: str = "json"
    log_level: str = "info"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `seatrial compare`."""
    usual = Settings("", "")
    parser.add_argument("--stable", required=True, metavar="URL", help="the accepted revision")
    parser.add_argument("--candidate", required=True, metavar="URL", help="the revision on trial")
    parser.add_argument(
        "--mode",
        type=AgreementMode,
        choices=list(AgreementMode),
        default=usual.same.mode,
        help="what has to be the same: every value, the class, or the k best",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=usual.same.tolerance,
        metavar="NUMBER",
        help="Numeric: equal means |a - b| <= NUMBER * max(1, |a|)",
    )
    parser.add_argument("--top-k", type=int, default=usual.same.top_k, metavar="K", help="TopK: how many of the best")
    parser.add_argument(
        "--output", action="append", default=[], metavar="NAME", help="compare this output only; repeatable"
    )
    parser.add_argument(
        "--rate", type=float, default=usual.rate, metavar="N", help="requests compared a second, at most"
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        default=usual.concurrency,
        metavar="N",
        help="requests compared at a time, and so the most that stable has in hand besides its own",
    )
    parser.add_argument("--queue", type=int, default=usual.queue, metavar="N", help="requests that may wait")
    parser.add_argument(
        "--max-body", type=int, default=usual.max_body, metavar="BYTES", help="largest request and answer compared"
    )
    parser.add_argument("--timeout", type=float, default=usual.timeout, metavar="SECONDS", help="for one answer")
    parser.add_argument("--port", type=int, default=usual.port, metavar="PORT", help="where copied requests come in")
    parser.add_argument(
        "--metrics-port",
        type=int,
        default=usual.metrics_port,
        metavar="PORT",
        help="port of /metrics, /healthz and /readyz",
    )
    parser.add_argument("--bind", default=usual.bind, metavar="ADDRESS", help="address of both ports; empty for all")
    parser.add_argument("--log-format", default=usual.log_format, choices=("json", "text"), help="how to write logs")
    parser.add_argument(
        "--log-level", default=usual.log_level, choices=("debug", "info", "warning", "error"), help="how much to log"
    )


def from_args(args: argparse.Namespace) -> Settings:
    """The settings; raises `SettingsError` with a sentence that names what cannot be used."""
    for flag, least in (("rate", 0.001), ("concurrency", 1), ("queue", 1), ("max_body", 1), ("timeout", 0.001)):
        if not getattr(args, flag) >= least:
            raise SettingsError(f"--{flag.replace('_', '-')}: at least {least:g} is needed")
    if not args.tolerance >= 0:
        raise SettingsError("--tolerance: no difference is below 0")
    if args.top_k < 1:
        raise SettingsError("--top-k: at least 1 is needed")
    return Settings(
        stable=_base(args.stable, "--stable"),
        candidate=_base(args.candidate, "--candidate"),
        same=Sameness(args.mode, args.tolerance, args.top_k),
        outputs=tuple(dict.fromkeys(args.output)),
        rate=args.rate,
        concurrency=args.concurrency,
        queue=args.queue,
        max_body=args.max_body,
        timeout=args.timeout,
        port=args.port,
        metrics_port=args.metrics_port,
        bind=args.bind,
        log_format=args.log_format,
        log_level=args.log_level,
    )


def _base(text: str, flag: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise SettingsError(f"{flag}: {text!r} is not an address such as http://fraud-e04d5521aa")
    return text.rstrip("/")
