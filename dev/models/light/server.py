"""A model server that starts in a tenth of a second and does what its environment says.

It speaks the Open Inference Protocol on 8080 and counts on 8082 with the names of MLServer's REST metrics,
so that the operator's preset for MLServer holds for it. At SIGTERM it closes its port at once, as MLServer does,
and what it is answering it still answers.

A request may ask to be slow: `"parameters": {"seconds": 4}` beside its inputs is how long its answer takes. At
`/v2/models/NAME/infer_stream` it is a stream of server-sent events over that time, `"events": 9` of them (1),
with the ids 0, 1, 2 …, each with the whole answer as its data.

| Variable | Meaning | Default |
|---|---|---|
| `PORTS` | where it listens, for requests and for metrics | 8080,8082 |
| `MODEL_NAME` | the model's name | `m` |
| `ANSWER` | the one number it predicts | 1 |
| `NO_RATE` | share of predictions that are 0 instead, evenly spread | 0 |
| `ERROR_RATE` | share of inference requests answered with a 500, evenly spread | 0 |
| `ERROR_AFTER` | seconds of listening before which it makes no errors | 0 |
| `LATENCY` | seconds each inference takes | 0 |
| `CPU` | seconds of a processor each inference takes | 0 |
| `START_DELAY` | seconds before it listens | 0 |
| `READY` | `no`: says that it is not ready | `yes` |
| `TELL_REVISION` | `yes`: a response header names the revision, as a gateway's does; its pod's name holds it | `no` |
| `CRASH_ON_START` | `yes`: exit with 1 before listening | `no` |
| `CRASH_AFTER` | seconds of listening after which it exits with 1; 0: never | 0 |
| `CRASH_AFTER_REQUESTS` | inference requests after which it exits with 1; 0: never | 0 |
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter, defaultdict

PORTS = [int(port) for port in os.environ.get("PORTS", "8080,8082").split(",")]
NAME = os.environ.get("MODEL_NAME", "m")
ANSWER = json.loads(os.environ.get("ANSWER", "1"))
NO_RATE = float(os.environ.get("NO_RATE", "0"))
ERROR_RATE = float(os.environ.get("ERROR_RATE", "0"))
ERROR_AFTER = float(os.environ.get("ERROR_AFTER", "0"))
LATENCY = float(os.environ.get("LATENCY", "0"))
CPU = float(os.environ.get("CPU", "0"))
START_DELAY = float(os.environ.get("START_DELAY", "0"))
READY = os.environ.get("READY", "yes") != "no"
TOLD = ""
if os.environ.get("TELL_REVISION") == "yes":
    TOLD = f"x-model-revision: {os.environ['HOSTNAME'].rsplit('-', 3)[1]}\r\n"
CRASH_AFTER = float(os.environ.get("CRASH_AFTER", "0"))
CRASH_AFTER_REQUESTS = int(os.environ.get("CRASH_AFTER_REQUESTS", "0"))

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
INFER = "/v2/models/{model_name}/infer"
"""MLServer counts by the pattern of the path, not by the path."""
STREAM = f"{INFER}_stream"
PATTERNS = {pattern.format(model_name=NAME): pattern for pattern in (INFER, STREAM)}
_REASON = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}

requests: Counter[tuple[str, str, int]] = Counter()
"""By method, pattern of the path and status."""
seconds: defaultdict[tuple[str, str, int], float] = defaultdict(float)
buckets: dict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0] * len(BUCKETS))
inferences = 0
started = time.monotonic()


def count(method: str, pattern: str, status: int, took: float) -> None:
    """Count one answer."""
    key = (method, pattern, status)
    requests[key] += 1
    seconds[key] += took
    held = buckets[key]
    for index, edge in enumerate(BUCKETS):
        if took <= edge:
            held[index] += 1


def metrics() -> str:
    """All counters as Prometheus reads them."""
    lines = ["# TYPE rest_server_requests_total counter"]
    for (method, pattern, status), number in requests.items():
        labels = f'app_name="mlserver",method="{method}",path="{pattern}",status_code="{status}"'
        lines.append(f"rest_server_requests_total{{{labels}}} {number}")
    lines.append("# TYPE rest_server_request_duration_seconds histogram")
    for key, number in requests.items():
        method, pattern, status = key
        labels = f'method="{method}",path="{pattern}",status_code="{status}"'
        name = "rest_server_request_duration_seconds"
        edges = zip((*BUCKETS, "+Inf"), (*buckets[key], number), strict=True)
        lines += [f'{name}_bucket{{app_name="mlserver",le="{edge}",{labels}}} {held}' for edge, held in edges]
        lines.append(f'{name}_count{{app_name="mlserver",{labels}}} {number}')
        lines.append(f'{name}_sum{{app_name="mlserver",{labels}}} {seconds[key]}')
    good = sum(n for (_, pattern, status), n in requests.items() if pattern == INFER and status == 200)
    bad = sum(n for (_, pattern, status), n in requests.items() if pattern == INFER and status != 200)
    lines.append("# TYPE model_infer_request_success_total counter")
    lines.append(f'model_infer_request_success_total{{model="{NAME}",version="None"}} {good}')
    lines.append("# TYPE model_infer_request_failure_total counter")
    lines.append(f'model_infer_request_failure_total{{model="{NAME}",version="None"}} {bad}')
    return "\n".join(lines) + "\n"


def infer() -> tuple[int, str]:
    """Predict, or fail as often as asked."""
    global inferences  # noqa: PLW0603
    inferences += 1
    busy_until = time.thread_time() + CPU
    while time.thread_time() < busy_until:
        pass
    if CRASH_AFTER_REQUESTS and inferences >= CRASH_AFTER_REQUESTS:
        sys.stderr.write("crashing after as many requests as asked\n")
        os._exit(1)
    if due(ERROR_RATE) and time.monotonic() - started >= ERROR_AFTER:
        return 500, json.dumps({"error": "failing as asked"})
    data = [0 if due(NO_RATE) else ANSWER]
    output = {"name": "predict", "shape": [1, 1], "datatype": "INT64", "data": data}
    return 200, json.dumps({"model_name": NAME, "outputs": [output]})


def due(rate: float) -> bool:
    """Whether this inference is one of so many: the whole part of n x rate grows by one exactly as often as wanted."""
    return int(inferences * rate) > int((inferences - 1) * rate)


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection, requests one after another."""

    open: set[Connection] = set()  # noqa: RUF012
    closing = False

    def __init__(self) -> None:
        self.buffer = b""
        self.busy = False
        self.transport: asyncio.Transport | None = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember it, so that SIGTERM can close it."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        Connection.open.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        Connection.open.discard(self)

    def data_received(self, data: bytes) -> None:
        """Answer when a whole request has come."""
        self.buffer += data
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end or self.busy:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ", 2)
        asked = json.loads(rest[:length]).get("parameters", {}) if b'"parameters"' in rest[:length] else {}
        seconds = asked.get("seconds", 0)
        self.busy = True
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        if PATTERNS.get(path) == STREAM:
            self.task = loop.create_task(self.stream(method, path, began, asked.get("events", 1), seconds))
        elif path in PATTERNS and LATENCY + seconds:
            loop.call_later(LATENCY + seconds, self.answer, method, path, began)
        else:
            self.answer(method, path, began)

    async def stream(self, method: str, path: str, began: float, events: int, seconds: float) -> None:
        """Write an answer event by event, the first at once and the last when the time is over."""
        status, body = infer()
        if status != 200:
            self.write(status, "application/json", body)
        else:
            assert self.transport is not None
            kind = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked"
            self.transport.write(f"HTTP/1.1 200 OK\r\n{kind}\r\n{TOLD}\r\n".encode())
            for number in range(events):
                await asyncio.sleep(began + seconds * number / max(1, events - 1) - time.monotonic())
                if self.transport.is_closing():
                    break
                event = f"id: {number}\ndata: {body}\n\n"
                self.transport.write(f"{len(event):x}\r\n{event}\r\n".encode())
            self.transport.write(b"0\r\n\r\n")
        count(method, STREAM, status, time.monotonic() - began)
        self.go_on()

    def answer(self, method: str, path: str, began: float) -> None:
        """Write the answer and go on with what came meanwhile."""
        kind = "application/json"
        pattern = path
        if PATTERNS.get(path) == INFER:
            pattern = INFER
            status, body = infer()
        elif path in {"/v2/health/ready", f"/v2/models/{NAME}/ready"}:
            pattern = path.replace(f"/{NAME}/", "/{model_name}/")
            status, body = (200, "{}") if READY else (503, '{"error": "not ready, as asked"}')
        elif path == "/v2/health/live":
            status, body = 200, "{}"
        elif path == "/metrics":
            kind = "text/plain; version=0.0.4"
            status, body = 200, metrics()
        else:
            status, body = 404, '{"error": "no such path"}'
        if path != "/metrics" and not path.startswith("/v2/health/"):
            count(method, pattern, status, time.monotonic() - began)
        self.write(status, kind, body)
        self.go_on()

    def write(self, status: int, kind: str, body: str) -> None:
        """Write an answer of one piece."""
        assert self.transport is not None
        close = "Connection: close\r\n" if Connection.closing else ""
        text = body.encode()
        about = f"Content-Type: {kind}\r\nContent-Length: {len(text)}\r\n{TOLD}{close}"
        self.transport.write(f"HTTP/1.1 {status} {_REASON[status]}\r\n{about}\r\n".encode() + text)

    def go_on(self) -> None:
        """The next request, or the end where SIGTERM has come."""
        self.busy = False
        if Connection.closing and self.transport is not None:
            self.transport.close()
        elif self.buffer:
            self.data_received(b"")


async def main() -> None:
    """Listen until SIGTERM, then close the port at once and finish what is under way."""
    if os.environ.get("CRASH_ON_START", "no") == "yes":
        sys.stderr.write("crashing on start, as asked\n")
        sys.exit(1)
    await asyncio.sleep(START_DELAY)
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    servers = [await loop.create_server(Connection, "0.0.0.0", port) for port in PORTS]
    if CRASH_AFTER:
        loop.call_later(CRASH_AFTER, os._exit, 1)
    sys.stderr.write(f"the model {NAME} listens\n")
    await over.wait()
    Connection.closing = True
    for server in servers:
        server.close()
    for connection in [*Connection.open]:
        if not connection.busy and connection.transport is not None:
            connection.transport.close()
    while Connection.open:  # noqa: ASYNC110 - a poll of a set is clearer than an event that each connection sets
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main())
