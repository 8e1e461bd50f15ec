"""The connection to Prometheus: questions in, answers out, and nothing thrown.

The only module that touches prometheus-api-client. That library is synchronous, waits for ever by default,
retries behind the caller's back and drops everything but the result; so it is given a session of ours that has
time limits, no retries, no redirects and puts queries into the body, and that keeps the whole answer
(`warnings` above all: a partial answer of Thanos or Mimir is a success with warnings).

Every way to fail has its own sentence, with the address and without credentials.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from seatrial.core.counters import scrape_interval
from seatrial.core.questions import (
    Bucket,
    CounterQuestion,
    Counters,
    ExistsQuestion,
    Failure,
    Found,
    InstantQuestion,
    MetricAnswer,
    MetricQuestion,
    Missing,
    NoData,
    Series,
    Value,
)

LOOKBACK = timedelta(minutes=5)
"""How long before the start of a count the last scrape may lie. Prometheus itself looks back as far."""
LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes. A longer answer is a mistake in the question."""
NEAREST = 3
NO_PROMETHEUS = (
    "no Prometheus is configured, so nothing can be judged: set its address at installation (prometheus.url)"
)

OnRequest = Callable[[str, float], None]
"""Called in the event loop for each request, with an outcome (`success`, `empty`, `timeout`, `refused`, `error`) and
its seconds."""
Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""A function where they change while we run, such as a token that is rotated."""


class PrometheusError(Exception):
    """Prometheus did not give a usable answer. The message is a sentence for a person."""

    def __init__(self, message: str, outcome: str = "error") -> None:
        super().__init__(message)
        self.outcome = outcome


class PrometheusSource:
    """Answers questions from one Prometheus, or from anything that speaks its query API."""

    def __init__(
        self,
        url: str,
        headers: Headers | None = None,
        *,
        auth: tuple[str, str] | None = None,
        verify: bool | str = True,
        timeout: float = 5.0,
        workers: int = 8,
        lookback: timedelta = LOOKBACK,
        on_request: OnRequest | None = None,
    ) -> None:
        """`verify` may be a path to a CA bundle, `timeout` is in seconds for one question."""
        self._url = url.rstrip("/")
        self.address = _without_credentials(self._url)
        self._timeout = timeout
        self._lookback = lookback
        self._on_request = on_request or (lambda _outcome, _seconds: None)
        self._pool: ThreadPoolExecutor | None = None
        if not self._url:
            return
        self._session = _Session(headers or {}, timeout)
        self._session.verify = verify
        self._prometheus = PrometheusConnect(
            url=self._url, auth=auth, session=self._session, timeout=timeout, method="POST", retry=Retry(total=0)
        )
        # The library mounts an adapter of its own for this address, with ten connections: ours replaces it.
        self._session.mount(self._url, HTTPAdapter(max_retries=Retry(total=0), pool_maxsize=workers))
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="prometheus")

    async def answer(self, questions: Sequence[MetricQuestion]) -> tuple[dict[str, MetricAnswer], float | None]:
        """Answers by key, and the seconds between scrapes as the samples show them. Never raises.

        All questions are asked at once. The whole batch has one deadline, so that a Prometheus that hangs costs
        the same time however many questions wait.
        """
        if not questions:
            return {}, None
        if self._pool is None:
            return {question.key: Failure(NO_PROMETHEUS) for question in questions}, None
        loop = asyncio.get_running_loop()
        started = time.monotonic()
        futures = [loop.run_in_executor(self._pool, self._timed, question) for question in questions]
        await asyncio.wait(futures, timeout=self._timeout + 1.0)
        answers: dict[str, MetricAnswer] = {}
        for question, future in zip(questions, futures, strict=True):
            if future.done():
                answers[question.key], outcome, seconds = future.result()
            else:
                future.cancel()
                answers[question.key] = Failure(self._too_late())
                outcome, seconds = "timeout", time.monotonic() - started
            self._on_request(outcome, seconds)
        intervals = [scrape_interval(a.series) for a in answers.values() if isinstance(a, Counters)]
        return answers, max((found for found in intervals if found is not None), default=None)

    def close(self) -> None:
        """Let go of threads and connections; questions under way are given up."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._session.close()

    def _timed(self, question: MetricQuestion) -> tuple[MetricAnswer, str, float]:
        started = time.monotonic()
        try:
            answer = self._answer(question)
            outcome = "empty" if isinstance(answer, NoData | Missing) else "success"
        except PrometheusError as error:
            answer, outcome = Failure(str(error)), error.outcome
        except Exception as error:  # noqa: BLE001  whatever it is, a question must not end the operator
            answer, outcome = (
                Failure(f"Prometheus at {self.address} could not be asked: {type(error).__name__}"),
                "error",
            )
        return answer, outcome, time.monotonic() - started

    def _answer(self, question: MetricQuestion) -> MetricAnswer:
        match question:
            case InstantQuestion(query=query, at=at):
                return _one_number(*self._query(query, at))
            case CounterQuestion(selector=selector, start=start, end=end):
                seconds = math.ceil((end - start + self._lookback).total_seconds())
                kind, result, warnings = self._query(f"{selector}[{seconds}s]", end)
                return Counters(_series(kind, result), warnings)
            case ExistsQuestion(selector=selector, start=start, end=end):
                seconds = math.ceil((end - start).total_seconds())
                found = _one_number(*self._query(f"count(last_over_time({selector}[{seconds}s]))", end))
                if isinstance(found, Value) and found.value >= 1:
                    return Found(int(found.value))
                return Missing(self._nearest(selector, start, end))

    def _query(self, query: str, at: datetime) -> tuple[str, Any, tuple[str, ...]]:
        """Kind of result, result, warnings."""
        params = {"time": f"{at.timestamp():.3f}", "timeout": f"{self._timeout:g}s"}
        body = self._ask(lambda: self._prometheus.custom_query(query, params=params))
        match body:
            case {"status": "success", "data": {"resultType": str(kind), "result": result}}:
                warnings = body.get("warnings") or ()
                return kind, result, tuple(str(warning) for warning in warnings)
            case _:
                raise PrometheusError(
                    f"{self.address} gave an answer that Prometheus does not give: is the address right?"
                )

    def _ask(self, call: Callable[[], object]) -> Any:
        """Make one call of the library and return the whole body of its answer."""
        self._session.kept.answer = None
        try:
            call()
        except PrometheusApiClientException:
            pass  # the status and the body are kept; they say more than the exception
        except requests.exceptions.JSONDecodeError:
            pass
        except (KeyError, TypeError, IndexError):
            pass  # JSON, but not Prometheus' own: the library looked for its `data`
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from None
        answer: _Answer | None = self._session.kept.answer
        if answer is None:
            raise PrometheusError(f"Prometheus at {self.address} gave no answer")
        return self._body(answer)

    def _body(self, answer: _Answer) -> Any:
        status, text = answer.status, answer.content
        if 300 <= status < 400:
            raise PrometheusError(
                f"Prometheus at {self.address} redirects to {_without_credentials(answer.location) or 'nowhere'}, which is "
                "not followed: set the address it really has"
            )
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        match body:
            case {"status": "error", "errorType": "timeout" | "canceled", "error": str(error)}:
                raise PrometheusError(f"Prometheus at {self.address} gave up on the query: {error}", "timeout")
            case {"status": "error", "errorType": str(kind), "error": str(error)}:
                raise PrometheusError(f"Prometheus at {self.address} refused the query ({kind}): {error}")
        if status != HTTPStatus.OK:
            said = " ".join(text[:400].decode("utf-8", "replace").split())[:160]
            hint = ": check the credentials" if status in (401, 403) else ""
            raise PrometheusError(
                f"Prometheus at {self.address} answered HTTP {status}{hint}{f' ({said})' if said else ''}"
            )
        if body is None:
            raise PrometheusError(
                f"{self.address} answered something that is not JSON: is the address that of a Prometheus?"
            )
        return body

    def _unreachable(self, error: BaseException) -> PrometheusError:
        causes = list(_causes(error))
        if any(isinstance(c, ConnectionRefusedError) for c in causes):
            return PrometheusError(f"Prometheus at {self.address} refused the connection: is it running?", "refused")
        if any(isinstance(c, socket.gaierror | urllib3.exceptions.NameResolutionError) for c in causes):
            return PrometheusError(f"the address {self.address} of Prometheus cannot be resolved")
        if tls := next((c for c in causes if isinstance(c, ssl.SSLError)), None):
            return PrometheusError(f"TLS with Prometheus at {self.address} failed: {tls.reason or type(tls).__name__}")
        if any(isinstance(c, _TooLargeError) for c in causes):
            return PrometheusError(
                f"the answer of Prometheus at {self.address} is larger than {LARGEST_ANSWER // 1024**2} MiB: ask for fewer series"
            )
        # A NewConnectionError is a timeout only by inheritance.
        late = [c for c in causes if isinstance(c, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError)]
        if any(not isinstance(c, urllib3.exceptions.NewConnectionError) for c in late):
            return PrometheusError(self._too_late(), "timeout")
        return PrometheusError(f"the connection to Prometheus at {self.address} broke ({type(causes[-1]).__name__})")

    def _too_late(self) -> str:
        return f"Prometheus at {self.address} did not answer within {self._timeout:g} s"

    def _nearest(self, selector: str, start: datetime, end: datetime) -> tuple[str, ...]:
        """Names that do exist, most like the one that was asked for."""
        wanted = re.search(r'__name__="((?:[^"\\]|\\.)*)"', selector)
        if wanted is None:
            return ()
        params = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
        if namespace := re.search(r'namespace="(?:[^"\\]|\\.)*"', selector):
            params["match[]"] = "{" + namespace.group(0) + "}"
        try:
            body = self._ask(lambda: self._prometheus.get_label_values("__name__", params=params))
        except PrometheusError:
            return ()
        names = body.get("data") if isinstance(body, dict) else None
        return nearest(wanted.group(1), [str(name) for name in names or ()])


def nearest(wanted: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names most like the wanted one, closest first."""
    if wanted in names:
        return (f"{wanted} (with other labels)",)
    words = {word for word in re.split(r"[_:.]", wanted) if len(word) > 2}
    # Comparing is slow and there may be tens of thousands: only names that share a word are compared.
    related = [name for name in names if words & set(re.split(r"[_:.]", name))]
    return tuple(difflib.get_close_matches(wanted, related or names, n=NEAREST, cutoff=0.5))


# --- reading results ----------------------------------------------------------------------------------


def _one_number(kind: str, result: Any, warnings: tuple[str, ...]) -> Value | NoData:
    match kind, result:
        case "scalar", [_, str(raw)]:
            pass
        case "vector", []:
            return NoData(
                "the query found nothing (an empty vector). If no series means 0, write "
                "(sum(…) or vector(0)) around that part"
            )
        case "vector", [{"value": [_, str(raw)]}]:
            pass
        case "vector", [{"histogram": _}]:
            raise PrometheusError(
                "the query gives a histogram, and a check needs one number: use histogram_quantile(…)"
            )
        case "vector", [*many]:
            raise PrometheusError(
                f"the query gives {len(many)} series, and a check needs one: aggregate, as with sum(…)"
            )
        case _:
            raise PrometheusError(f"the query gives a {kind}, and a check needs one number")
    value = _number(raw)
    if value is None:
        raise PrometheusError(f"the query gives {raw!r}, which is not a number")
    if math.isnan(value):
        return NoData("the value is NaN, which is what 0/0 gives: was there any traffic?")
    return Value(value, warnings)


def _series(kind: str, result: Any) -> tuple[Series, ...]:
    if kind != "matrix" or not isinstance(result, list):
        raise PrometheusError(f"raw samples were asked for, and the answer is a {kind}")
    out = []
    for one in result:
        match one:
            case {"metric": dict(labels), "values": list(values)}:
                samples = ((float(t), _number(raw)) for t, raw in values)
                out.append(Series(labels, tuple((t, v) for t, v in samples if v is not None and math.isfinite(v))))
            case {"metric": dict(), "histograms": _}:
                pass
            case _:
                raise PrometheusError("raw samples came in a form that Prometheus does not give")
        match one:  # a series that has changed its kind has both
            case {"metric": dict(labels), "histograms": list(values)}:
                native = [(float(t), found) for t, raw in values if (found := _native(raw)) is not None]
                counted = tuple((t, count) for t, (count, _) in native)
                out.append(Series(labels, counted, tuple(buckets for _, (_, buckets) in native)))
    return tuple(out)


def _native(raw: object) -> tuple[float, tuple[Bucket, ...]] | None:
    """Count and buckets of one sample of a native histogram; None where the count is no number (a stale marker)."""
    match raw:
        case {"count": str(count), "buckets": list(rows)}:
            pass
        case {"count": str(count)}:
            rows = []
        case _:
            raise PrometheusError("a native histogram came in a form that Prometheus does not give")
    total = _number(count)
    if total is None or not math.isfinite(total):
        return None
    out = []
    for row in rows:
        match row:
            case [int(), str(left), str(right), str(count)]:
                out.append(Bucket(float(left), float(right), float(count)))
            case _:
                raise PrometheusError("the buckets of a native histogram came in a form that Prometheus does not give")
    return total, tuple(sorted(out, key=lambda bucket: bucket.right))


def _number(raw: object) -> float | None:
    try:
        return float(raw) if isinstance(raw, str) else None
    except ValueError:
        return None


# --- the session --------------------------------------------------------------------------------------


class _TooLargeError(requests.RequestException):
    """The answer is longer than we are willing to hold."""


class _Answer:
    """What came back, whatever it was."""

    __slots__ = ("content", "location", "status")

    def __init__(self, status: int, content: bytes, location: str) -> None:
        self.status = status
        self.content = content
        self.location = location


class _Kept(threading.local):
    """The answer to the call that this thread is making."""

    answer: _Answer | None = None


class _Session(requests.Session):
    """A session that never waits for ever, follows nothing, remembers nothing, and keeps the whole answer."""

    def __init__(self, headers: Headers, timeout: float) -> None:
        super().__init__()
        self.trust_env = False  # no proxy, .netrc or CA bundle that happens to be in the environment
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.hooks["response"].append(self._keep)
        self.kept = _Kept()
        self._more = headers
        self._limit = timeout

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        """As the parent's; a POST carries its query in the body, where no proxy limits or logs it."""
        if method == "POST" and kwargs.get("params"):
            kwargs["data"] = kwargs.pop("params")
        kwargs["allow_redirects"] = False
        more = self._more() if callable(self._more) else self._more
        kwargs["headers"] = {**(kwargs.get("headers") or {}), **more}
        kwargs["timeout"] = (min(2.0, self._limit), self._limit)
        return super().request(method, url, *args, **kwargs)

    def _keep(self, response: requests.Response, *_args: Any, **_kwargs: Any) -> None:
        """Read the body here: `timeout` limits one read, and a server that trickles would never end."""
        deadline = time.monotonic() + self._limit
        chunks, size = [], 0
        for chunk in response.iter_content(65536):
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_ANSWER:
                response.close()
                raise _TooLargeError
            if time.monotonic() > deadline:
                response.close()
                raise requests.ReadTimeout
        content = b"".join(chunks)
        response._content = content  # noqa: SLF001  the library reads it again, and the stream is used up
        self.kept.answer = _Answer(response.status_code, content, response.headers.get("location", ""))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception, and all that it wraps: each library on the way has its own place for that."""
    seen: set[int] = set()
    queue: list[object] = [error]
    while queue:
        here = queue.pop(0)
        if not isinstance(here, BaseException) or id(here) in seen:
            continue
        seen.add(id(here))
        yield here
        queue += [*here.args, here.__cause__, here.__context__, getattr(here, "reason", None)]


def _without_credentials(url: str) -> str:
    """The address as it may be shown: no user, password, path parameters or query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if host else parts.path
