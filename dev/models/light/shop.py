"""A shop that asks a model for its offers, and counts what comes of them by the revision that answered.

Customers come at a constant rate. Each is shown what the model answers; an answer of 1 is an offer that suits him, and most of
those are ordered. Which revision it was says the header `x-model-revision`. Prometheus reads what it counts on 8082; a question
without an answer is a line in its log, and is not asked again.

| Variable | Meaning | Default |
|---|---|---|
| `MODEL` | where the model answers, as `IP:PORT` of a gateway | |
| `MODEL_HOST` | the model's host name there | |
| `MODEL_PATH` | the path of its inferences | `/v2/models/m/infer` |
| `METRICS_PORT` | where its counters are read | 8082 |
| `RATE` | customers a second | 100 |
| `ORDERED` | share of suitable offers that are ordered | 0.9 |
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter, defaultdict

ADDRESS, _, PORT = os.environ.get("MODEL", "").rpartition(":")
HOST = os.environ.get("MODEL_HOST", "")
PATH = os.environ.get("MODEL_PATH", "/v2/models/m/infer")
RATE = float(os.environ.get("RATE", "100"))
ORDERED = float(os.environ.get("ORDERED", "0.9"))
METRICS_PORT = int(os.environ.get("METRICS_PORT", "8082"))
CONNECTIONS = 8

BODY = json.dumps({"inputs": [{"name": "input-0", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}]})
REQUEST = (
    f"POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
).encode()

offers: Counter[str] = Counter()
"""By revision, like the others."""
orders: Counter[str] = Counter()
revenue: defaultdict[str, float] = defaultdict(float)
chance = random.Random(1)


def metrics() -> str:
    """All counters as Prometheus reads them. Whoever was offered something has a counter of orders too, or the first order
    would look like one that had always been there."""
    lines = []
    for name, counted in (("shop_offers", offers), ("shop_orders", orders), ("shop_revenue_euros", revenue)):
        lines.append(f"# TYPE {name}_total counter")
        lines += [f'{name}_total{{model_revision="{revision}"}} {counted[revision]}' for revision in offers]
    return "\n".join(lines) + "\n"


def offered(revision: str, answer: int) -> None:
    """A customer sees what this revision suggests, and orders it or not."""
    offers[revision] += 1
    if answer == 1 and chance.random() < ORDERED:
        orders[revision] += 1
        revenue[revision] += round(chance.gammavariate(4, 10), 2)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    """The revision that answered, and its answer."""
    writer.write(REQUEST)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    body = await reader.readexactly(int(headers["content-length"]))
    if head[0].split(" ", 2)[1] != "200":
        raise OSError(f"{head[0]}: {body.decode()}")
    return headers["x-model-revision"], json.loads(body)["outputs"][0]["data"][0]


async def sell(first: float) -> None:
    """Every so-manieth customer, over a connection that is kept."""
    reader = writer = None
    due = first
    while True:
        await asyncio.sleep(due - time.monotonic())
        due += CONNECTIONS / RATE
        try:
            if reader is None or writer is None:
                reader, writer = await asyncio.open_connection(ADDRESS, int(PORT))
            offered(*await asyncio.wait_for(ask(reader, writer), 5))
        except (OSError, EOFError, LookupError, ValueError) as error:
            sys.stderr.write(f"lost: {error!r}\n")
            if writer is not None:
                writer.close()
            reader = writer = None


async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whatever is asked with the counters."""
    await reader.readuntil(b"\r\n\r\n")
    text = metrics().encode()
    about = f"Content-Type: text/plain; version=0.0.4\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    writer.write(f"HTTP/1.1 200 OK\r\n{about}".encode() + text)
    await writer.drain()
    writer.close()


async def main() -> None:
    """Sell until killed."""
    async with await asyncio.start_server(tell, "0.0.0.0", METRICS_PORT) as server:
        now = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve_forever())
            for number in range(CONNECTIONS):
                group.create_task(sell(now + number / RATE))


if __name__ == "__main__":
    asyncio.run(main())
