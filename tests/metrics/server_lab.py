"""What a real model server counts under a known load: `python tests/metrics/server_lab.py NAME PYTHON RECORDING`.

PYTHON is the interpreter of an environment that holds the server (`pip install kserve`, `bentoml`, `ray[serve]`, or
`nvidia-pytriton`, which holds Triton itself and wants a Python 3.11 before 3.11.5 first on PATH). The server is sent known
numbers of requests, errors and slow ones, with probes and unknown paths beside them, and its page is kept before and after:
RECORDING-before.prom and RECORDING-after.prom.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

SLOW = 0.4
"""Seconds of a slow answer."""
WARM_UP = {"quick": 7, "error": 1, "slow": 1}
LOAD = {"quick": 40, "error": 5, "slow": 4}
"""49 requests, 5 errors, 4 slower than 250 ms."""
PORT, METRICS_PORT = 18080, 18081


@dataclass(frozen=True)
class Server:
    """One model server with a model that does what it is asked to: "quick", "error" or "slow"."""

    program: str
    """What it runs, as `fraud.py` in an empty folder."""
    command: tuple[str, ...]
    """After the interpreter."""
    infer: str
    body: str
    """`WANT` stands for what is wanted of the model."""
    others: tuple[str, ...]
    """Paths that are no inference: probes, metadata, something unknown."""
    keep: str
    """Prefixes of the series that are kept, parted by spaces."""
    metrics: int = PORT


SERVERS = {
    "kserve": Server(
        program=f"""
import time
from kserve import Model, ModelServer

class Fraud(Model):
    def __init__(self):
        super().__init__("fraud")
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        want = payload["instances"][0]
        if want == "error":
            raise RuntimeError("asked to fail")
        time.sleep({SLOW} if want == "slow" else 0.0)
        return {{"predictions": [1]}}

ModelServer(http_port={PORT}, enable_grpc=False).start([Fraud()])
""",
        command=("fraud.py",),
        infer="/v1/models/fraud:predict",
        body='{"instances": ["WANT"]}',
        others=("/v2/health/ready", "/v1/models/fraud", "/v2/models/fraud/ready", "/nothing", "/metrics"),
        keep="request_",
    ),
    "bentoml": Server(
        program=f"""
import time
import bentoml

@bentoml.service(name="fraud", workers=1)
class Fraud:
    @bentoml.api
    def predict(self, want: str) -> str:
        if want == "error":
            raise RuntimeError("asked to fail")
        time.sleep({SLOW} if want == "slow" else 0.0)
        return want
""",
        command=("-m", "bentoml", "serve", "fraud:Fraud", "--host", "127.0.0.1", "--port", str(PORT)),
        infer="/predict",
        body='{"want": "WANT"}',
        others=("/readyz", "/livez", "/schema.json", "/nothing", "/metrics"),
        keep="bentoml_service_",
    ),
    "triton": Server(
        program=f"""
import time
import numpy
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

@batch
def predict(want):
    asked = want[0][0].decode()
    if asked == "error":
        raise RuntimeError("asked to fail")
    time.sleep({SLOW} if asked == "slow" else 0.0)
    return {{"answer": numpy.ones((len(want), 1), dtype=numpy.int64)}}

with Triton(config=TritonConfig(http_port={PORT}, metrics_port={METRICS_PORT}, allow_grpc=False)) as triton:
    triton.bind(
        model_name="fraud",
        infer_func=predict,
        inputs=[Tensor(name="want", dtype=bytes, shape=(1,))],
        outputs=[Tensor(name="answer", dtype=numpy.int64, shape=(1,))],
        config=ModelConfig(max_batch_size=8),
    )
    triton.serve()
""",
        command=("fraud.py",),
        infer="/v2/models/fraud/infer",
        body='{"inputs": [{"name": "want", "shape": [1, 1], "datatype": "BYTES", "data": ["WANT"]}]}',
        others=("/v2/health/ready", "/v2/models/fraud", "/v2/models/fraud/ready", "/v2/models/none/ready", "/nothing"),
        keep="nv_inference_",
        metrics=METRICS_PORT,
    ),
    "ray-serve": Server(
        program=f"""
import signal, time
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import PlainTextResponse

@serve.deployment
class Fraud:
    async def __call__(self, request: Request):
        import asyncio
        want = (await request.json())["want"]
        if want == "error":
            raise RuntimeError("asked to fail")
        await asyncio.sleep({SLOW} if want == "slow" else 0.0)
        return PlainTextResponse(want)

ray.init(num_cpus=2, include_dashboard=False, _metrics_export_port={METRICS_PORT})
serve.start(http_options={{"host": "127.0.0.1", "port": {PORT}}})
serve.run(Fraud.bind(), name="fraud", route_prefix="/fraud")
signal.pause()
""",
        command=("fraud.py",),
        infer="/fraud",
        body='{"want": "WANT"}',
        others=("/-/healthz", "/-/routes", "/nothing"),
        keep="ray_serve_",
        metrics=METRICS_PORT,
    ),
}


def send(path: str, body: str | None = None, port: int = PORT) -> tuple[int, str]:
    """Status and text; 0 where nobody answers."""
    data = None if body is None else body.encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=data, headers={"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def play(server: Server, load: dict[str, int]) -> dict[str, list[int]]:
    """Send it, and what is no inference beside it; the status codes that came back."""
    seen: dict[str, list[int]] = {}
    for path in server.others * 2:
        send(path)
    for want, count in load.items():
        for _ in range(count):
            seen.setdefault(want, []).append(send(server.infer, server.body.replace("WANT", want))[0])
    return {want: sorted(set(codes)) for want, codes in seen.items()}


def page(server: Server) -> str:
    """What it shows, without what no preset reads."""
    lines = send("/metrics", port=server.metrics)[1].splitlines()
    kept = tuple(server.keep.split())
    return "\n".join(line for line in lines if line.removeprefix("# TYPE ").startswith(kept)) + "\n"


def main(name: str, python: str, where: str) -> None:
    """Record one server."""
    server = SERVERS[name]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "fraud.py").write_text(server.program)
        environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "BENTOML_DO_NOT_TRACK": "True"}
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [python, *server.command], cwd=folder, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        try:
            deadline = time.monotonic() + 180
            while send(server.infer, server.body.replace("WANT", "quick"))[0] != 200:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit((Path(folder) / "log").read_text()[-4000:])
                time.sleep(1)
            for load, when in ((WARM_UP, "before"), (LOAD, "after")):
                print(json.dumps(play(server, load)))
                time.sleep(12)  # Ray's processes report every ten seconds
                Path(f"{where}-{when}.prom").write_text(page(server))
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
