"""The cluster, as the command line uses it: one module, dicts in and out, every failure a sentence.

The `kubernetes` package reads the kubeconfig (certificates, tokens, exec plug-ins, proxies) and its REST
layer carries the requests. It takes half a second to import, so nothing imports it before it is needed.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from seatrial.cli.errors import CLUSTER, NOT_FOUND, SENT_BACK, CliError

Object = dict[str, Any]

# As in `seatrial.api.base`, which imports pydantic; a test holds them together.
GROUP, VERSION, PLURAL, KIND = "seatrial.dev", "v1alpha1", "modeldeployments", "ModelDeployment"
API_VERSION = f"{GROUP}/{VERSION}"
COMMANDS = f"{GROUP}/commands"

_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
CONNECT, READ = 5.0, 15.0
"""Seconds for one request."""
SILENCE = 90.0
"""Seconds a watch may be silent: the API server sends a bookmark about once a minute."""
PAGE = 500


class HttpError(Exception):
    """An answer that is no success, as the API server put it."""

    def __init__(self, code: int, body: Mapping[str, Any], text: str) -> None:
        self.code = code
        self.body = body
        self.message = str(body.get("message") or text or f"HTTP {code}")
        super().__init__(self.message)


@dataclass(frozen=True, slots=True)
class Where:
    """Which cluster and namespace the person means."""

    namespace: str = ""
    """As asked for; empty means the context's own."""
    context: str = ""
    kubeconfig: str = ""


class Cluster:
    """Requests of the command line. Raises CliError for whatever a person has to know."""

    def __init__(self, where: Where) -> None:
        self.context, self.namespace, configuration = _configure(where)
        self._configuration = configuration
        self.server = str(configuration.host)

        from kubernetes.client.rest import RESTClientObject  # noqa: PLC0415 - see the module's docstring

        self._rest = RESTClientObject(configuration)

    # --- ModelDeployments ---------------------------------------------------------------------------------------------

    def get(self, name: str) -> Object:
        """One ModelDeployment; a name that does not exist is answered with the nearest that do."""
        try:
            return self._json("GET", f"{self._path(self.namespace)}/{quote(name)}")
        except HttpError as error:
            if error.code == 404 and error.body.get("details"):
                raise CliError(self._no_such(name), NOT_FOUND) from None
            raise self.explain(error, "get", f"ModelDeployment {name}") from None

    def all(self, *, everywhere: bool) -> tuple[list[Object], str]:
        """All ModelDeployments of the namespace, or of all; and the version to watch from."""
        items: list[Object] = []
        query = {"limit": str(PAGE)}
        while True:
            try:
                page = self._json("GET", f"{self._path('' if everywhere else self.namespace)}?{urlencode(query)}")
            except HttpError as error:
                raise self.explain(error, "list", "ModelDeployments", everywhere=everywhere) from None
            items += [{"apiVersion": API_VERSION, "kind": KIND, **item} for item in page.get("items") or ()]
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return items, str(metadata.get("resourceVersion", ""))
            query["continue"] = str(metadata["continue"])

    def watch(self, version: str, *, name: str = "", everywhere: bool = False) -> Iterator[tuple[str, Object]]:
        """(ADDED | MODIFIED | DELETED, object) since a version, until the server ends the stream.

        Raises HttpError (410: the version is too old, list again) and ConnectionError.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": "600"}
        if name:
            query["fieldSelector"] = f"metadata.name={name}"
        path = f"{self._path('' if everywhere else self.namespace)}?{urlencode(query)}"
        response = self._send("GET", path, timeout=(CONNECT, SILENCE))
        if response.status >= 300:
            raise _http_error(response.status, response.read())
        buffer = b""
        try:
            for chunk in response.response.stream(65536):
                buffer += chunk
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    body = event.get("object") or {}
                    if event.get("type") == "ERROR":
                        raise HttpError(int(body.get("code") or 500), body, "")
                    yield str(event.get("type")), body
        except HttpError:
            raise
        except Exception as error:  # the transport's own exceptions, and JSON that was cut off
            raise ConnectionError(_short(error)) from error
        finally:
            response.response.close()

    def annotate(self, name: str, key: str, value: str, obj: Object) -> Object:
        """Set one annotation of the object as it was read; HttpError 409 or 422 if it changed since then."""
        metadata = obj["metadata"]
        escaped = key.replace("~", "~0").replace("/", "~1")
        patch = [{"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}]
        if not metadata.get("annotations"):
            patch.append({"op": "add", "path": "/metadata/annotations", "value": {}})
        patch.append({"op": "add", "path": f"/metadata/annotations/{escaped}", "value": value})
        path = f"{self._path(self.namespace)}/{quote(name)}?fieldManager=seatrial-cli"
        return self._json("PATCH", path, body=patch, content_type="application/json-patch+json")

    # --- beside it ----------------------------------------------------------------------------------------------------

    def whoami(self) -> str:
        """Who the API server takes us for; no other name will do under a command."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            review = self._json("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
        except HttpError as error:
            raise CliError(
                f"{self._here()} does not tell who you are, and a command bears the name of who asks: {error.message}. "
                "Ask for the role system:basic-user, which lets everybody create a SelfSubjectReview",
                CLUSTER,
            ) from None
        return str(review["status"]["userInfo"]["username"])

    def events(self, name: str) -> list[Object]:
        """Events about a ModelDeployment, in no order; none where they may not be read."""
        selector = urlencode({"fieldSelector": f"involvedObject.name={name},involvedObject.kind=ModelDeployment"})
        try:
            found = self._json("GET", f"/api/v1/namespaces/{quote(self.namespace)}/events?{selector}")
        except (HttpError, CliError):
            return []
        return [event for event in found.get("items") or () if isinstance(event, dict)]

    def explain(self, error: HttpError, verb: str, what: str, *, everywhere: bool = False) -> CliError:
        """The API server's refusal as a sentence with a next step."""
        where = "all namespaces" if everywhere else f"namespace {self.namespace}"
        if error.code == 401:
            return CliError(
                f"{self._here()} does not accept your credentials: log in again, or choose another --context", CLUSTER
            )
        said = error.message.lower()
        if error.code in (400, 403, 422) and ("denied" in said or "admission" in said):
            return CliError(f"{_policy(error.message)} (you wanted to {verb} {what})", SENT_BACK)
        if error.code == 403:
            role = "view" if verb in ("get", "list", "watch") else "edit"
            hint = ", or leave out -A" if everywhere else ""
            return CliError(
                f"you may not {verb} {what} in {where}: {error.message}. Ask for the verb {verb!r} on "
                f"{PLURAL}.{GROUP} (the chart adds it to the role {role}){hint}",
                CLUSTER,
            )
        if error.code == 404:
            return CliError(
                f"{self._here()} does not know ModelDeployments: the definition {PLURAL}.{GROUP} is not installed. "
                "Install the chart, or kubectl apply -f crds/",
                CLUSTER,
            )
        return CliError(f"{self._here()} refused to {verb} {what}: {error.message}", CLUSTER)

    # --- the wire -----------------------------------------------------------------------------------------------------

    def _path(self, namespace: str) -> str:
        base = f"/apis/{GROUP}/{VERSION}"
        return f"{base}/namespaces/{quote(namespace)}/{PLURAL}" if namespace else f"{base}/{PLURAL}"

    def _here(self) -> str:
        return f"the cluster at {self.server}" + (f" (context {self.context})" if self.context else "")

    def _no_such(self, name: str) -> str:
        sentence = f"there is no ModelDeployment {name!r} in namespace {self.namespace}"
        try:
            here = [item["metadata"]["name"] for item in self.all(everywhere=False)[0]]
        except CliError:
            return f"{sentence}; the namespace can be given with -n"
        near = difflib.get_close_matches(name, here, n=3, cutoff=0.5)
        if near:
            return f"{sentence}; did you mean {' or '.join(near)}?"
        try:
            others = [
                item["metadata"]["namespace"]
                for item in self.all(everywhere=True)[0]
                if item["metadata"]["name"] == name
            ]
        except CliError:
            others = []
        if others:
            return f"{sentence}; it is in {others[0]}: add -n {others[0]}"
        if here:
            return f"{sentence}; there is {', '.join(sorted(here)[:5])}{' …' if len(here) > 5 else ''}"
        return f"{sentence}, and no other one; the namespace can be given with -n"

    def _json(self, method: str, path: str, *, body: Any = None, content_type: str = "application/json") -> Object:
        response = self._send(method, path, body=body, content_type=content_type, timeout=(CONNECT, READ))
        try:
            raw = response.read()
        except Exception as error:  # noqa: BLE001 - the transport's own exceptions are many
            raise CliError(f"{self._here()} broke off its answer ({_short(error)}): try again", CLUSTER) from None
        if response.status >= 300:
            raise _http_error(response.status, raw)
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise CliError(f"{self._here()} answered with something that is not JSON: is it an API server?", CLUSTER)
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        timeout: tuple[float, float],
    ) -> Any:
        headers = {"Accept": "application/json", "User-Agent": "seatrial-cli"}
        token = self._configuration.auth_settings().get("BearerToken")
        if token and token["value"]:
            headers["Authorization"] = token["value"]
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            return self._rest.request(  # type: ignore[no-untyped-call]
                method, self.server + path, headers=headers, body=body, _request_timeout=timeout
            )
        except Exception as error:  # noqa: BLE001 - urllib3's, ssl's, the package's: nobody answered
            raise CliError(
                f"{self._here()} cannot be reached: {_short(error)}. Is it up, and this machine on its network? "
                "`kubectl cluster-info` asks the same",
                CLUSTER,
            ) from None


def _configure(where: Where) -> tuple[str, str, Any]:
    """(context, namespace, configuration of the kubernetes package)."""
    import urllib3  # noqa: PLC0415 - see the module's docstring
    from kubernetes import config  # noqa: PLC0415
    from kubernetes.client.configuration import Configuration  # noqa: PLC0415

    configuration = Configuration()
    # A command is typed by a person who wants to know now.
    configuration.retries = False
    path = where.kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    inside = Path(_TOKEN, "token").exists()
    if not (where.kubeconfig or os.environ.get("KUBECONFIG") or Path(path).exists()) and inside:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        own = Path(_TOKEN, "namespace")
        return "", where.namespace or (own.read_text().strip() if own.exists() else "default"), configuration
    try:
        contexts, active = config.list_kube_config_contexts(config_file=path)  # type: ignore[no-untyped-call]
        names = [str(context["name"]) for context in contexts]
        if where.context and where.context not in names:
            near = ", ".join(difflib.get_close_matches(where.context, names, n=3, cutoff=0.4) or names[:5])
            raise CliError(f"there is no context {where.context!r} in {path}; there is {near}", CLUSTER)
        chosen = next((c for c in contexts if c["name"] == where.context), active)
        config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=path, context=chosen["name"], client_configuration=configuration, persist_config=False
        )
    except CliError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a broken file or a missing plug-in raises
        raise CliError(
            f"no usable kubeconfig ({path}): {_short(error)}. Name one with --kubeconfig or KUBECONFIG", CLUSTER
        ) from None
    if not configuration.verify_ssl:
        urllib3.disable_warnings()
    namespace = where.namespace or str((chosen.get("context") or {}).get("namespace") or "default")
    return str(chosen["name"]), namespace, configuration


def _http_error(code: int, raw: bytes) -> HttpError:
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    return HttpError(code, body if isinstance(body, dict) else {}, raw[:200].decode(errors="replace").strip())


def _policy(message: str) -> str:
    """A refusal by an admission policy without what the API server says around it."""
    found = re.search(r"ValidatingAdmissionPolicy '([^']+)'.*? denied request: (.*)", message, re.DOTALL)
    if found is None:
        return f"a policy of the cluster forbids it: {message}"
    return f"policy {found[1]} of the cluster forbids it: {found[2]}"


def _short(error: BaseException) -> str:
    """The innermost reason of a chain of exceptions, on one line."""
    reason: object = getattr(error, "reason", None) or error
    while isinstance(reason, BaseException) and reason.__cause__ is not None:
        reason = reason.__cause__
    text = " ".join(str(reason).split()) or type(error).__name__
    # urllib3 puts the object's address in front: "<…HTTPSConnection object at 0x7f…>: Failed to …".
    return text.rsplit(">: ", 1)[-1][:300]
