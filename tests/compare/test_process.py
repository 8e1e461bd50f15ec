"""The whole process: bounded under a flood, gone at once when told, and no trouble when killed."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from seatrial.cli.main import main
from tests.compare.models import BODY, INFER, oip, says, serving
from tests.compare.process import running

CANDIDATE_AGREES = 'seatrial_compare_answers_total{output="*",pair="candidate",result="agree"}'


async def flood(url: str, body: bytes, seconds: float, senders: int, client: aiohttp.ClientSession) -> int:
    """Send as fast as it goes; how many were answered with 202."""

    until, sent = time.monotonic() + seconds, 0

    async def sender() -> None:
        nonlocal sent
        while time.monotonic() < until:
            headers = {"Content-Type": "application/json"}
            async with client.post(url + INFER, data=body, headers=headers) as answer:
                assert answer.status == 202
                sent += 1

    await asyncio.gather(*(sender() for _ in range(senders)))
    return sent


async def test_a_flood_is_answered_and_neither_memory_nor_rate_grow_with_it(tmp_path: Path) -> None:
    large = json.dumps({**BODY, "padding": "x" * 400_000}).encode()
    # Slow models, so that everything that can be held is held.
    slow = says(oip(p=1.0), after=0.3)
    async with (
        serving(slow) as stable,
        serving(slow) as candidate,
        running(tmp_path, stable.url, candidate.url, "--rate", "50", "--queue", "8") as process,
    ):
        assert await flood(process.url, json.dumps(BODY).encode(), 0.5, 4, process.client) > 10
        before = process.memory()
        began = time.monotonic()
        sent = await flood(process.url, large, 4.0, 100, process.client)
        seconds = time.monotonic() - began
        after, seen = process.memory(), await process.metrics()
        assert sent > 300, "else it was no flood"
        assert sent * len(large) / 2**20 > 100, "MiB in all"
        # Nine requests of 0.4 MB and what the 100 connections buffer.
        assert after - before < 64, f"MiB after {sent} requests; {before:.0f} before"
        assert stable.most_in_hand == 1
        assert len(stable.seen) <= 2 * seconds / 0.3 + 4, "two for each comparison, one after the other"
        drops = sum(value for name, value in seen.items() if name.startswith("seatrial_compare_dropped_total"))
        assert seen["seatrial_compare_received_total"] - drops <= 8 + 1 + len(candidate.seen)


async def test_it_stops_when_told_and_says_so(tmp_path: Path) -> None:
    async with (
        serving(says(oip(p=1.0), after=5.0)) as stable,
        serving(says(oip(p=1.0))) as candidate,
        running(tmp_path, stable.url, candidate.url) as process,
    ):
        await flood(process.url, json.dumps(BODY).encode(), 0.2, 2, process.client)
        began = time.monotonic()
        process.popen.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.popen.wait, 5) == 0
        assert time.monotonic() - began < 3, "nothing is waited for"
        lines = [json.loads(line) for line in process.log.read_text().splitlines()]
        assert [line["message"] for line in lines][-1] == "stopped"
        assert stable.url in lines[0]["message"]


async def test_a_killed_comparer_leaves_both_models_free(tmp_path: Path) -> None:
    """What it had asked for is given up, and models answer others as before."""
    quick_for_others = says(oip(p=1.0), after=0.2)
    async with (
        serving(quick_for_others) as stable,
        serving(quick_for_others) as candidate,
        running(tmp_path, stable.url, candidate.url, "--rate", "100") as process,
    ):
        await flood(process.url, json.dumps(BODY).encode(), 0.5, 4, process.client)
        process.popen.kill()
        process.popen.wait()
        before = len(stable.seen) + len(candidate.seen)
        await asyncio.sleep(0.5)
        assert len(stable.seen) + len(candidate.seen) <= before + 1
        assert (stable.in_hand, candidate.in_hand) == (0, 0)
        async with process.client.post(stable.url + INFER, json=BODY) as answer:
            assert answer.status == 200


async def test_metrics_are_there_from_the_first_scrape(tmp_path: Path) -> None:
    async with (
        serving(says(oip(p=1.0))) as stable,
        serving(says(oip(p=1.0))) as candidate,
        running(tmp_path, stable.url, candidate.url, "--mode", "TopK", "--top-k", "3") as process,
    ):
        first = await process.metrics()
        assert first[CANDIDATE_AGREES] == 0.0
        assert first['seatrial_compare_dropped_total{reason="rate"}'] == 0.0
        await flood(process.url, json.dumps(BODY).encode(), 1.0, 1, process.client)
        async with asyncio.timeout(5):
            while (await process.metrics())[CANDIDATE_AGREES] == 0.0:
                await asyncio.sleep(0.05)
        async with process.client.get(f"{process.probes}/healthz") as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--stable", "fraud", "--candidate", "http://b"], "--stable: 'fraud' is not an address"),
        (["--stable", "http://a", "--candidate", "http://b?x=1"], "--candidate: 'http://b?x=1' is not an address"),
        (["--stable", "http://a", "--candidate", "http://b", "--rate", "0"], "--rate: at least 0.001 is needed"),
        (["--stable", "http://a", "--candidate", "http://b", "--rate", "nan"], "--rate: at least 0.001 is needed"),
        (["--stable", "http://a", "--candidate", "http://b", "--tolerance", "-1"], "--tolerance: no difference"),
        (["--stable", "http://a", "--candidate", "http://b", "--top-k", "0"], "--top-k: at least 1 is needed"),
        (["--stable", "http://a"], "the following arguments are required: --candidate"),
        (["--stable", "http://a", "--candidate", "http://b", "--mode", "Best"], "argument --mode"),
    ],
)
def test_flags_that_cannot_be_used_are_named(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *flags]) == 2
    assert said in capsys.readouterr().err
