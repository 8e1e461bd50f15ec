"""Pods that answer requests, die and are scraped: what Prometheus would hold, and what was really counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from hypothesis import strategies as st

from seatrial.core.questions import Series

T0 = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
EPOCH = T0.timestamp()
LOOKBACK = 300.0


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Pod:
    """Times in seconds after T0."""

    name: str
    born: float
    died: float
    phase: float
    interval: float
    restarts: tuple[float, ...]
    gap: tuple[float, float]
    """Scrapes fail in this stretch."""
    good: tuple[float, ...]
    bad: tuple[float, ...]
    """When requests were answered."""

    @cache  # noqa: B019  pods are few, and asked often
    def scrapes(self) -> list[tuple[float, bool]]:
        out, t = [], self.born + self.phase
        while t < self.died:
            out.append((t, not self.gap[0] <= t < self.gap[1]))
            t = round(t + self.interval, 3)
        return out

    def life(self, t: float) -> int:
        return sum(1 for restart in self.restarts if restart <= t)

    def counted(self, events: Iterable[float], t: float) -> int:
        """The counter's value: events since the process began. 0 means that the series is not there."""
        begun = max((restart for restart in self.restarts if restart <= t), default=self.born)
        return sum(1 for event in events if begun < event <= t)

    @cache  # noqa: B019  pods are few, and asked often
    def events(self, code: str) -> tuple[float, ...]:
        """Events, without those that nobody could see: between a restart and the next scrape, which may hide it."""
        out = []
        for event in self.good if code == "2" else self.bad:
            if not self.born < event < self.died:
                continue
            hidden = False
            for restart in self.restarts:
                following = next((t for t, ok in self.scrapes() if ok and t >= restart), self.died)
                hidden = hidden or restart <= event <= following
            if not hidden:
                out.append(event)
        return tuple(out)

    def series(self, after: float, until: float) -> list[Series]:
        """Samples in (after, until], as Unix seconds."""
        own = {"namespace": "models", "pod": self.name, "instance": f"{self.name}:8082", "job": "pods"}
        within = [(t, ok) for t, ok in self.scrapes() if after < t <= until]
        out = []
        for code in ("2", "5"):
            events = self.events(code)
            values = [(EPOCH + t, float(self.counted(events, t))) for t, ok in within if ok]
            if samples := tuple((t, v) for t, v in values if v):
                status = {"2": "200", "5": "500"}[code]
                labels = {
                    "__name__": "rest_server_requests_total",
                    "method": "POST",
                    "path": "/v2/models/{model_name}/infer",
                    "status_code": status,
                }
                out.append(Series({**own, **labels}, samples))
        if within:
            out.append(Series({**own, "__name__": "up"}, tuple((EPOCH + t, float(ok)) for t, ok in within)))
        return out

    def visible(self, code: str, until: float) -> int:
        """What all scrapes together have seen by then: the last value of each life."""
        events = self.events(code)
        lives: dict[int, int] = {}
        for t, ok in self.scrapes():
            if ok and t <= until:
                lives[self.life(t)] = self.counted(events, t)
        return sum(lives.values())


def series(pods: Iterable[Pod], start: float, end: float) -> tuple[Series, ...]:
    """What a question from `start` to `end` is answered with."""
    return tuple(one for pod in pods for one in pod.series(start - LOOKBACK, end))


def truth(pods: Iterable[Pod], code: str, start: float, end: float) -> int:
    return sum(pod.visible(code, end) - pod.visible(code, start) for pod in pods)


_ms = st.integers


@st.composite
def a_pod(draw: st.DrawFn, name: str) -> Pod:
    """A pod that was scraped before T0, or that was born after it."""
    interval = draw(st.sampled_from([1.0, 5.0, 15.0, 30.0]))
    early = draw(st.booleans())
    born = -draw(st.integers(61, 200)) * 1.0 if early else draw(st.integers(1, 240)) + draw(st.integers(0, 999)) / 1000
    phase = draw(st.integers(0, int(interval * 1000) - 1)) / 1000
    died = draw(st.one_of(st.just(500.0), st.integers(int(born) + 30, 420).map(float)))
    # A gap always leaves one scrape before it, and is shorter than the lookback.
    begin = max(born + phase + 0.001, draw(st.integers(0, 300)) * 1.0)
    gap = (begin, begin + draw(st.sampled_from([0.0, 20.0, 90.0, 200.0])))
    times = st.lists(st.integers(int(born * 1000) + 1, 400_000).map(lambda ms: ms / 1000), max_size=25)
    restarts = draw(st.lists(st.integers(0, 350).map(float), max_size=2, unique=True))
    return Pod(
        name,
        born,
        died,
        phase,
        interval,
        tuple(sorted(restart for restart in restarts if restart > born)),
        gap,
        tuple(draw(times)),
        tuple(draw(times)),
    )


def some_pods() -> st.SearchStrategy[list[Pod]]:
    return st.integers(1, 4).flatmap(
        lambda n: st.tuples(*(a_pod(f"fraud-e04d5521aa-x-{i}") for i in range(n))).map(list)
    )


def looks() -> st.SearchStrategy[list[float]]:
    """Instants of looks, from T0 to 400 s later; never the very instant of a scrape, which are whole milliseconds."""
    inner = st.lists(st.integers(1, 399_999), max_size=12, unique=True)
    return inner.map(lambda ms: [0.0, *((m + 0.5) / 1000 for m in sorted(ms)), 400.0])
