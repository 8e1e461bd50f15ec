"""What a real Envoy counts, case by case: `python tests/metrics/envoy_lab.py ENVOY [RECORDING]`.

One cluster for each way a request can end, named as Envoy Gateway names the backends of a route. Prints a table
of requests sent and requests counted; the table of `docs/adr/0012-what-the-gateway-counts.md` is its output.

With RECORDING, the two backends of one route are then sent known numbers of requests, errors and slow ones, and
Envoy's page is kept before and after: RECORDING-before.prom and RECORDING-after.prom.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
REQUESTS = 20


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


async def head(reader: asyncio.StreamReader) -> None:
    await reader.readuntil(b"\r\n\r\n")


def answering(status: str, delay: float = 0.0) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await head(reader)
                await asyncio.sleep(delay)
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    return handle


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await head(reader)
    writer.transport.abort()


async def breaking_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()


def flaky() -> Handler:
    """Every second answer is a 503."""
    turn = Counter[str]()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await head(reader)
                turn["n"] += 1
                status = "503 Service Unavailable" if turn["n"] % 2 else "200 OK"
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    return handle


async def mixed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Does what the query string asks for."""
    try:
        while True:
            asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].partition(b"?")[2]
            await asyncio.sleep({b"slow": 0.15, b"hang": 2.0}.get(asked, 0.0))
            status = "500 Internal Server Error" if asked == b"error" else "200 OK"
            writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok".encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        writer.close()


@dataclass(frozen=True)
class Case:
    name: str
    handler: Handler | None
    """None: nothing listens."""
    route: str = "timeout: 0.3s"
    cluster: str = ""
    endpoints: bool = True
    together: bool = False
    """All requests at once."""
    leave: float | None = None
    """The client goes away after so many seconds."""


RETRY = "timeout: 2s, retry_policy: {retry_on: '5xx', num_retries: 2}"
CASES = (
    Case("200", answering("200 OK")),
    Case("404", answering("404 Not Found")),
    Case("500", answering("500 Internal Server Error")),
    Case("slow-60ms", answering("200 OK", 0.06)),
    Case("timeout", answering("200 OK", 2.0)),
    Case("refused", None),
    Case("no-endpoint", None, endpoints=False),
    Case("reset-before-answer", resetting),
    Case("broken-off-after-200", breaking_off),
    Case("client-left", answering("200 OK", 0.25), leave=0.1),
    Case(
        "overflow",
        answering("200 OK", 0.2),
        cluster="circuit_breakers: {thresholds: [{max_connections: 1, max_pending_requests: 1}]}",
        together=True,
    ),
    Case("retry-every-second-503", flaky(), route=RETRY),
    Case("retry-always-503", answering("503 Service Unavailable"), route=RETRY),
    Case("never-asked", answering("200 OK")),
    Case("stable", mixed),
    Case("candidate", mixed),
)
RECORDED = {"stable": (300, 3, 6), "candidate": (40, 8, 5)}
"""Quick answers, errors (half of them time-outs, which have no latency), slow answers."""


def cluster_name(index: int) -> str:
    if CASES[index].name in RECORDED:
        return f"httproute/payments/fraud/rule/0/backend/{list(RECORDED).index(CASES[index].name)}"
    return f"httproute/models/case{index}/rule/0/backend/0"


def config(ports: list[int], listen: int, admin: int) -> str:
    clusters, routes = [], []
    for index, (case, port) in enumerate(zip(CASES, ports, strict=True)):
        endpoint = (
            f"{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}"
            if case.endpoints
            else ""
        )
        extra = f", {case.cluster}" if case.cluster else ""
        clusters.append(
            f"  - {{name: {cluster_name(index)}, type: STATIC, connect_timeout: 0.5s, load_assignment: "
            f"{{cluster_name: c{index}, endpoints: [{endpoint}]}}{extra}}}"
        )
        routes.append(
            f"                - {{match: {{path: /{index}}}, route: {{weighted_clusters: {{clusters: "
            f"[{{name: {cluster_name(index)}, weight: 1, response_headers_to_add: "
            f"[{{header: {{key: x-model-revision, value: r{index}}}}}]}}]}}, {case.route}}}}}"
        )
    return "\n".join([
        f"admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}",
        "static_resources:",
        "  listeners:",
        f"  - address: {{socket_address: {{address: 127.0.0.1, port_value: {listen}}}}}",
        "    filter_chains:",
        "    - filters:",
        "      - name: envoy.filters.network.http_connection_manager",
        "        typed_config:",
        '          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
        "          stat_prefix: lab",
        "          http_filters:",
        '          - {name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}',
        "          route_config:",
        "            virtual_hosts:",
        "            - name: all",
        '              domains: ["*"]',
        "              routes:",
        *routes,
        "  clusters:",
        *clusters,
    ])  # fmt: skip


async def send(port: int, index: int, leave: float | None, query: str = "") -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{index}{query} HTTP/1.1\r\nhost: lab\r\nconnection: close\r\n\r\n".encode())
    await writer.drain()
    try:
        if leave is not None:
            await asyncio.sleep(leave)
            return "left"
        answer = await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return "reset"
    finally:
        writer.transport.abort()
    if not answer:
        return "empty"
    status = answer.split(b" ", 2)[1].decode()
    wanted = re.search(rb"content-length: (\d+)", answer)
    body = answer.split(b"\r\n\r\n", 1)[1]
    return f"{status} cut" if wanted and len(body) < int(wanted.group(1)) else status


async def scrape(admin: int) -> str:
    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/stats/prometheus", timeout=5) as answer:
            return str(answer.read().decode())

    return await asyncio.to_thread(read)


def counted(text: str, index: int) -> dict[str, float]:
    out: dict[str, float] = {}
    name = re.escape(cluster_name(index))
    for line in text.splitlines():
        found = re.fullmatch(
            rf'envoy_cluster_(?:upstream_)?(\w+)\{{(?:envoy_response_code(?:_class)?="(\w+)",)?envoy_cluster_name="{name}"\}} (\S+)',
            line,
        )
        if found:
            out[found[1] + (f"={found[2]}" if found[2] else "")] = float(found[3])
    return out


async def record(listen: int, admin: int, where: str) -> None:
    for name in ("warm-up", "real"):
        for case, counts in RECORDED.items():
            index = next(i for i, c in enumerate(CASES) if c.name == case)
            quick, errors, slow = (7, 1, 1) if name == "warm-up" else counts
            hang = errors // 2
            queries = ["?quick"] * quick + ["?error"] * (errors - hang) + ["?hang"] * hang + ["?slow"] * slow
            for query in queries:
                await send(listen, index, None, query)
        await asyncio.sleep(6)  # histograms are merged every five seconds
        lines = (await scrape(admin)).splitlines()
        kept = [
            line
            for line in lines
            if re.search(r"(_rq_(xx|completed|total|time_)|membership_total).*/payments/fraud/", line)
        ]
        path = Path(f"{where}-{'before' if name == 'warm-up' else 'after'}.prom")
        path.write_text("\n".join(kept) + "\n")


async def main(envoy: str, recording: str | None) -> None:
    servers, ports = [], []
    for case in CASES:
        port = free_port()
        ports.append(port)
        if case.handler is not None:
            servers.append(await asyncio.start_server(case.handler, "127.0.0.1", port))
    listen, admin = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "envoy.yaml"
        path.write_text(config(ports, listen, admin))
        process = subprocess.Popen(
            [envoy, "-c", str(path), "--use-dynamic-base-id", "-l", "error", "--concurrency", "1"]
        )
        try:
            for _ in range(100):
                try:
                    await scrape(admin)
                    break
                except OSError:
                    await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)
            print(f"{'case':24} {'client saw':26} {'rq_xx':18} completed total time_count membership  other")
            fresh = await scrape(admin)
            for index, case in enumerate(CASES):
                if case.name in RECORDED:
                    continue
                calls = [send(listen, index, case.leave) for _ in range(REQUESTS if case.name != "never-asked" else 0)]
                seen = Counter(
                    await asyncio.gather(*calls)
                    if case.together or case.name == "timeout"
                    else [await c for c in calls]
                )
                await asyncio.sleep(0.4)
                got = counted(await scrape(admin), index)
                classes = {k[6:]: int(v) for k, v in got.items() if k.startswith("rq_xx=")}
                other = {
                    k: int(v)
                    for k, v in got.items()
                    if v and ((k.startswith("rq_") and "reset" in k) or k in ("rq_timeout", "rq_retry", "rq_pending_overflow", "rq_cancelled", "cx_connect_fail", "cx_none_healthy"))
                }  # fmt: skip
                members = counted(fresh, index).get("membership_total")
                print(
                    f"{case.name:24} {json.dumps(seen):26} {json.dumps(classes):18} {int(got.get('rq_completed', -1)):9} "
                    f"{int(got.get('rq_total', -1)):5} {int(got.get('rq_time_count', -1)):10} {members!s:>10}  {json.dumps(other)}"
                )
            if recording:
                await record(listen, admin, recording)
        finally:
            process.terminate()
            process.wait()
            for server in servers:
                server.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
