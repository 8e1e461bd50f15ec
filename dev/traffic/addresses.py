"""Where traffic may go: to this machine and to the local cluster, unless a person says otherwise."""

from __future__ import annotations

import ipaddress
import socket

from dev.errors import DevError

LOCAL_CLUSTER = ipaddress.ip_network("198.18.0.0/15")
"""Pods and Services of the local cluster: the range set aside for benchmarks (RFC 2544)."""


def resolve(host: str, port: int, anywhere: bool = False) -> tuple[str, int]:
    """The address to connect to, looked up once; refuses what is neither loopback nor the local cluster."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DevError(f"The address {host}:{port} cannot be looked up: {error}.") from None
    address = str(found[0][4][0])
    if not (anywhere or _local(address)):
        raise DevError(
            f"{host}:{port} is {address}, which is neither loopback nor in {LOCAL_CLUSTER}. "
            "This client loads what it is pointed at; add --anywhere if that is yours to load."
        )
    return address, port


def _local(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed in LOCAL_CLUSTER
