"""Users of a real gateway: each keeps his cookies, and remembers which revision answered him last."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Self

from tests.cluster.model import Model

BODY = '{"inputs": [{"name": "input-0", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}]}'
THREADS = 8


class User:
    """Somebody with a cookie jar."""

    def __init__(self) -> None:
        self.cookies: SimpleCookie = SimpleCookie()
        self.met = ""

    def headers(self, host: str) -> dict[str, str]:
        held = {"Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())}
        return {"Host": host, **(held if self.cookies else {})}


class Crowd:
    """So many users who come by one after another, at a constant rate, in a `with` block. Nobody tries twice."""

    def __init__(self, model: Model, count: int, rate: float) -> None:
        self.model = model
        self.users = [User() for _ in range(count)]
        self.round = count / rate
        """Seconds in which everybody has come by once."""
        self.moves: Counter[tuple[str, str]] = Counter()
        """How often somebody met another revision than the last time, by the two revisions."""
        self.answered: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(self.users[i::THREADS],)) for i in range(THREADS)]

    def with_revision(self, revision: str) -> int:
        """Users whom this revision answered last."""
        return sum(user.met == revision for user in self.users)

    def come_by(self) -> None:
        """Wait until everybody has come by once more."""
        time.sleep(self.round * 1.2 + 1)

    def previewed(self, user: User) -> str | None:
        """Who answers this user when he asks for the candidate; it is no answer of the rate's."""
        connection = http.client.HTTPConnection(*self.model.gateway, timeout=5)
        headers = {**user.headers(self.model.host), "x-preview": "candidate"}
        connection.request("POST", f"/v2/models/{self.model.model}/infer", BODY, headers)
        answer = connection.getresponse()
        connection.close()
        assert not answer.headers.get_all("set-cookie")
        return answer.getheader("x-model-revision")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, users: list[User]) -> None:
        connection = http.client.HTTPConnection(*self.model.gateway, timeout=5)
        pause, due = self.round / len(users), time.monotonic()
        while not self._over.is_set():
            for user in users:
                due += pause
                if self._over.wait(max(0.0, due - time.monotonic())):
                    break
                try:
                    self._ask(connection, user)
                except (OSError, http.client.HTTPException) as error:
                    connection.close()
                    with self._lock:
                        self.lost[type(error).__name__] += 1
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, user: User) -> None:
        path = f"/v2/models/{self.model.model}/infer"
        connection.request("POST", path, BODY, user.headers(self.model.host))
        answer = connection.getresponse()
        answer.read()
        for given in answer.headers.get_all("set-cookie") or ():
            user.cookies.load(given)
        revision = answer.getheader("x-model-revision") or ""
        with self._lock:
            if answer.status != 200 or not revision:
                self.lost[str(answer.status)] += 1
                return
            self.answered[revision] += 1
            if user.met not in ("", revision):
                self.moves[user.met, revision] += 1
        user.met = revision
