"""What the administrator says once: flags, and `SEATRIAL_*` variables beneath them."""

from __future__ import annotations

import argparse
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from seatrial.api.base import parse_duration
from seatrial.runtime.process import SettingsError

ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""In a pod: the namespace it runs in."""
LEASE_NAMESPACE = "seatrial-system"
"""Where the Lease is outside a pod, and where the chart installs by default."""


GITOPS_ACCOUNTS = ("system:serviceaccount:argocd:*", "system:serviceaccount:flux-system:*")
"""The controllers of Argo CD and Flux, where their own instructions install them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the process is told."""

    prometheus_url: str = ""
    prometheus_headers: Mapping[str, str] = field(default_factory=dict)
    """As given: a value that begins with `@` names a file."""
    gateway: tuple[str, str] | None = None
    namespaces: tuple[str, ...] = ()
    """Namespaces to watch; empty for all."""
    workers: int = 8
    log_format: str = "text"
    log_level: str = "info"
    lease_namespace: str = LEASE_NAMESPACE
    metrics_port: int = 8080
    """0 turns it off."""
    probe_port: int = 8081
    """0 turns it off."""
    bind: str = ""
    """Address of both ports; empty for all addresses."""
    dwell: timedelta = timedelta(seconds=2)
    max_trials: int = 0
    """Trials at the same time; 0 for any number."""
    max_trials_per_namespace: int = 0
    """The same in one namespace."""
    image: str = ""
    """The image this process runs from; empty where it is not known."""
    kubeconfig: str = ""
    context: str = ""
    authors_kept: bool = False
    """The chart's admission policies check commands and write down authors."""
    gitops_accounts: tuple[str, ...] = GITOPS_ACCOUNTS
    """Users that apply what others wrote; `*` stands for any characters."""
    unsafe_traffic: bool = False
    """Only for the control run that proves the tests can see a lost request."""
    identity: str = field(default_factory=lambda: f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}")
    """Who we are in the Lease: new for every process, so that nobody takes an old lease for his own."""

    def headers(self) -> dict[str, str]:
        """The headers for Prometheus; files are read anew, since tokens in them change."""
        return {name: _value(text) for name, text in self.prometheus_headers.items()}


def add_arguments(parser: argparse.ArgumentParser, environ: Mapping[str, str] | None = None) -> None:
    """Add the flags of `seatrial run`; each falls back to its variable, then to its default."""
    env = os.environ if environ is None else environ
    in_pod = ACCOUNT_NAMESPACE.exists()

    def flag(name: str, default: object, help_text: str, **more: object) -> None:
        variable = "SEATRIAL_" + name.lstrip("-").replace("-", "_").upper()
        value = env.get(variable, default)
        parser.add_argument(name, default=value, help=f"{help_text} [{variable}]", **more)  # type: ignore[arg-type]

    flag("--prometheus-url", "", "address of the Prometheus that holds the metrics", metavar="URL")
    parser.add_argument(
        "--prometheus-header",
        action="append",
        metavar="NAME=VALUE",
        default=None,
        help="a header for Prometheus, such as Authorization or X-Scope-OrgID; NAME=@FILE reads the value from "
        "a file; repeatable [SEATRIAL_PROMETHEUS_HEADER, one a line]",
    )
    flag("--gateway", "", "default Gateway of models that name none", metavar="NAMESPACE/NAME")
    parser.add_argument(
        "--namespace",
        action="append",
        metavar="NAME",
        default=None,
        help="watch this namespace only; repeatable; all where left out [SEATRIAL_NAMESPACE, by comma]",
    )
    flag("--workers", 8, "resources worked on at the same time", type=int, metavar="N")
    flag("--log-format", "json" if in_pod else "text", "how to write logs", choices=("json", "text"))
    flag("--log-level", "info", "how much to log", choices=("debug", "info", "warning", "error"))
    flag("--lease-namespace", _own_namespace(), "where the Lease of the one writer is", metavar="NAME")
    flag("--metrics-port", 8080, "port of /metrics; 0 for none", type=int, metavar="PORT")
    flag("--probe-port", 8081, "port of /healthz and /readyz; 0 for none", type=int, metavar="PORT")
    flag("--bind", "" if in_pod else "127.0.0.1", "address of both ports; empty for all", metavar="ADDRESS")
    flag("--dwell", "2s", "how long after the gateway accepts a weight the proxies are trusted to have it")
    flag("--max-trials", 0, "trials that may run at the same time; 0 for any number", type=int, metavar="N")
    flag("--max-trials-per-namespace", 0, "the same in one namespace", type=int, metavar="N")
    flag(
        "--image",
        "",
        "the operator's own image, which compares answers in a shadow; the chart sets it",
        metavar="IMAGE",
    )
    parser.add_argument(
        "--authors-kept",
        action="store_true",
        default=env.get("SEATRIAL_AUTHORS_KEPT") == "yes",
        help="the chart's admission policies check commands and write down who made a revision; without, approvals "
        "with notAuthor are refused [SEATRIAL_AUTHORS_KEPT=yes]",
    )
    parser.add_argument(
        "--gitops-account",
        action="append",
        metavar="USER",
        default=None,
        help="a user that applies what others wrote, * for any characters: behind it an author is not known; "
        f"repeatable; {' and '.join(GITOPS_ACCOUNTS)} where left out [SEATRIAL_GITOPS_ACCOUNT, by comma]",
    )
    flag("--kubeconfig", "", "kubeconfig to use; in a pod its own account is used", metavar="FILE")
    flag("--context", "", "context of the kubeconfig", metavar="NAME")


def from_args(args: argparse.Namespace, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings; raises `SettingsError` with a sentence that names what cannot be used."""
    env = os.environ if environ is None else environ
    headers = args.prometheus_header
    if headers is None:
        headers = [line for line in env.get("SEATRIAL_PROMETHEUS_HEADER", "").splitlines() if line.strip()]
    namespaces = args.namespace
    if namespaces is None:
        namespaces = [name.strip() for name in env.get("SEATRIAL_NAMESPACE", "").split(",") if name.strip()]
    accounts = args.gitops_account
    if accounts is None:
        accounts = env.get("SEATRIAL_GITOPS_ACCOUNT", ",".join(GITOPS_ACCOUNTS)).split(",")
    try:
        dwell = parse_duration(args.dwell)
    except ValueError as error:
        raise SettingsError(f"--dwell: {error}") from None
    if args.workers < 1:
        raise SettingsError("--workers: at least 1 is needed")
    if min(args.max_trials, args.max_trials_per_namespace) < 0:
        raise SettingsError("--max-trials, --max-trials-per-namespace: 0 is any number, and there is none below it")
    settings = Settings(
        prometheus_url=args.prometheus_url.rstrip("/"),
        prometheus_headers=dict(_header(text) for text in headers),
        gateway=_gateway(args.gateway),
        namespaces=tuple(dict.fromkeys(namespaces)),
        workers=args.workers,
        log_format=args.log_format,
        log_level=args.log_level,
        lease_namespace=args.lease_namespace,
        metrics_port=args.metrics_port,
        probe_port=args.probe_port,
        bind=args.bind,
        dwell=dwell,
        max_trials=args.max_trials,
        max_trials_per_namespace=args.max_trials_per_namespace,
        image=args.image,
        kubeconfig=args.kubeconfig,
        context=args.context,
        authors_kept=args.authors_kept,
        gitops_accounts=tuple(account.strip() for account in accounts if account.strip()),
        unsafe_traffic=env.get("SEATRIAL_UNSAFE_TRAFFIC") == "yes",
    )
    try:
        settings.headers()
    except OSError as error:
        raise SettingsError(f"--prometheus-header: {error.filename}: {error.strerror}") from None
    return settings


def _own_namespace() -> str:
    try:
        return ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip() or LEASE_NAMESPACE
    except OSError:
        return LEASE_NAMESPACE


def _gateway(text: str) -> tuple[str, str] | None:
    if not text:
        return None
    namespace, slash, name = text.partition("/")
    if not slash or not namespace or not name or "/" in name:
        raise SettingsError(f"--gateway: {text!r} is not NAMESPACE/NAME")
    return namespace, name


def _header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise SettingsError("--prometheus-header: write NAME=VALUE or NAME=@FILE")
    return name.strip(), value


def _value(text: str) -> str:
    return Path(text[1:]).read_text(encoding="utf-8").strip() if text.startswith("@") else text
