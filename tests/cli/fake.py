"""The few answers of an API server that the command line asks for, over HTTP, in a thread.

The same cases run against a real kube-apiserver (`plane` in conftest.py), so that its lies are found.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]
Fault = Callable[[str, str], tuple[int, Object | str] | None]

MODELS = "/apis/seatrial.dev/v1alpha1"
EVENTS = "/api/v1"
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class Fake:
    """Objects by (collection, namespace, name), one clock of versions, watches."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.changes: list[tuple[int, str, str, Object]] = []
        self.version = 1
        self.moved = threading.Condition()
        self.fault: Fault = lambda _method, _path: None
        """Asked before each request: (method, path) -> an answer instead, or None."""
        self.on_patch: Callable[[], None] = lambda: None
        """Called before a patch is applied: somebody else's write at the same moment."""
        self.closing = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        with self.moved:
            self.closing = True
            self.moved.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def store(self, kind: str, key: tuple[str, str, str], obj: Object | None) -> Object:
        with self.moved:
            self.version += 1
            told = copy.deepcopy(self.objects.pop(key)) if obj is None else obj
            told["metadata"]["resourceVersion"] = str(self.version)
            if obj is not None:
                self.objects[key] = obj
            self.changes.append((self.version, kind, key[0], copy.deepcopy(told)))
            self.moved.notify_all()
        return told

    def _handler(fake) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler below
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def answer(self, code: int, body: Object | str) -> None:
                raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def handle_one_request(self) -> None:
                with suppress(ConnectionError):
                    super().handle_one_request()

            def body(self) -> Any:
                return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"null")

            def serve(self) -> None:
                url = urlsplit(self.path)
                body: Any = self.body() if self.command in ("POST", "PUT", "PATCH") else None
                fault = fake.fault(self.command, url.path)
                if fault is not None:
                    self.answer(*fault)
                    return
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                if url.path == REVIEW:
                    self.answer(201, {"status": {"userInfo": {"username": "ada@example.com"}}})
                    return
                collection = MODELS if url.path.startswith(MODELS) else EVENTS
                parts = url.path.removeprefix(collection).strip("/").split("/")
                namespace = ""
                if parts[0] == "namespaces":
                    namespace, parts = parts[1], parts[2:]
                name = parts[1] if len(parts) > 1 else ""
                key = (collection, namespace, name)
                if query.get("watch"):
                    self.watch(collection, namespace, query)
                elif self.command == "POST":
                    self.create(collection, namespace, body)
                elif name and key not in fake.objects:
                    self.answer(404, missing(name))
                elif self.command == "GET" and name:
                    self.answer(200, fake.objects[key])
                elif self.command == "GET":
                    found = [o for (c, ns, _), o in fake.objects.items() if c == collection and namespace in ("", ns)]
                    found = [o for o in found if selected(o, query)]
                    self.answer(200, {"items": found, "metadata": {"resourceVersion": str(fake.version)}})
                elif self.command == "PUT":
                    obj = copy.deepcopy(fake.objects[key])
                    obj["status"] = body["status"]
                    self.answer(200, fake.store("MODIFIED", key, obj))
                elif self.command == "PATCH":
                    fake.on_patch()
                    self.patch(key, body)
                elif self.command == "DELETE":
                    self.answer(200, fake.store("DELETED", key, None))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815

            def create(self, collection: str, namespace: str, obj: Object) -> None:
                if (collection, namespace, obj["metadata"]["name"]) in fake.objects:
                    self.answer(409, {"kind": "Status", "code": 409, "reason": "AlreadyExists"})
                    return
                obj["metadata"] = {**obj["metadata"], "namespace": namespace, "generation": 1, "uid": "u"}
                obj["metadata"].setdefault("creationTimestamp", "2026-11-10T09:00:00Z")
                if collection == MODELS:
                    obj.pop("status", None)
                self.answer(201, fake.store("ADDED", (collection, namespace, obj["metadata"]["name"]), obj))

            def patch(self, key: tuple[str, str, str], operations: list[Object]) -> None:
                assert self.headers["Content-Type"] == "application/json-patch+json"
                obj = copy.deepcopy(fake.objects[key])
                for operation in operations:
                    *path, last = [
                        part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
                    ]
                    parent = obj
                    for part in path:
                        parent = parent[part]
                    if operation["op"] == "test" and parent.get(last) != operation["value"]:
                        message = "the server rejected our request due to an error in our request"
                        self.answer(422, {"kind": "Status", "code": 422, "reason": "Invalid", "message": message})
                        return
                    if operation["op"] == "add":
                        parent[last] = operation["value"]
                self.answer(200, fake.store("MODIFIED", key, obj))

            def watch(self, collection: str, namespace: str, query: dict[str, str]) -> None:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                seen = int(query["resourceVersion"])
                while not fake.closing:
                    with fake.moved:
                        if fake.version == seen:
                            fake.moved.wait(0.5)
                        news = [change for change in fake.changes if change[0] > seen]
                        seen = fake.version
                    for _, kind, where, obj in news:
                        ours = where == collection and namespace in ("", obj["metadata"]["namespace"])
                        if ours and selected(obj, query):
                            line = json.dumps({"type": kind, "object": obj}).encode() + b"\n"
                            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                            self.wfile.flush()
                self.close_connection = True

        return Handler


def missing(name: str) -> Object:
    return {
        "kind": "Status",
        "code": 404,
        "reason": "NotFound",
        "message": f'modeldeployments.seatrial.dev "{name}" not found',
        "details": {"name": name, "kind": "modeldeployments"},
    }


def selected(obj: Object, query: dict[str, str]) -> bool:
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, value = term.partition("=")
        found: Any = obj
        for part in key.split("."):
            found = found.get(part, {})
        if found != value:
            return False
    return True
