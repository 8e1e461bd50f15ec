"""The few requests that kubectl is too slow for.

Creating the resources of a gateway, four megabytes of them, takes kubectl ten
seconds: it parses, compares and watches one after the other. Posting the text
as it is takes three.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError

_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_ALREADY_THERE = 409


@dataclass(frozen=True)
class Api:
    """One cluster's API server, for an administrator."""

    server: str
    context: ssl.SSLContext

    @staticmethod
    def of(kubeconfig_json: str) -> Api:
        """From the JSON of a kubeconfig with embedded certificates (`kubectl config view --raw --minify -o json`)."""
        content = json.loads(kubeconfig_json)
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        # The ssl module reads a key from a file only.
        with tempfile.TemporaryDirectory() as folder:
            cert, key = Path(folder) / "cert", Path(folder) / "key"
            cert.write_bytes(base64.b64decode(user["client-certificate-data"]))
            key.write_bytes(base64.b64decode(user["client-key-data"]))
            context.load_cert_chain(cert, key)
        return Api(cluster["server"], context)

    def request(self, path: str, body: str | None = None, accept: str = "application/json") -> bytes:
        """GET, or POST of YAML when there is a body."""
        data = None if body is None else body.encode()
        headers = {"Content-Type": "application/yaml", "Accept": accept}
        request = urllib.request.Request(f"{self.server}{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
            return bytes(answer.read())

    def create_definitions(self, manifests: Sequence[str], seconds: float = 60) -> None:
        """Create CustomResourceDefinitions and wait until the API server serves them all."""
        with ThreadPoolExecutor(4) as several:
            list(several.map(self._create_definition, manifests))
        wanted = {_name_of(manifest) for manifest in manifests}
        limit = time.monotonic() + seconds
        while missing := wanted - self.served():
            if time.monotonic() > limit:
                raise DevError(f"The API server does not serve {', '.join(sorted(missing))} after {seconds:.0f} s.")
            time.sleep(0.1)

    def served(self) -> set[str]:
        """Every resource that discovery tells of, as `plural.group`."""
        groups = json.loads(self.request("/apis", accept=_DISCOVERY))["items"]
        return {
            f"{resource['resource']}.{group['metadata']['name']}"
            for group in groups
            for version in group["versions"]
            for resource in version.get("resources", ())
        }

    def _create_definition(self, manifest: str) -> None:
        try:
            self.request(_DEFINITIONS, manifest)
        except urllib.error.HTTPError as error:
            if error.code != _ALREADY_THERE:
                reason = error.read().decode(errors="replace")
                raise DevError(f"Creating {_name_of(manifest)} failed: {reason}") from error


def _name_of(manifest: str) -> str:
    found = re.search(r"^  name: (\S+)$", manifest, re.MULTILINE)
    if found is None:
        raise DevError("A CustomResourceDefinition has no name.")
    return found.group(1)
