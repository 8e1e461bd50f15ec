"""Certificates and kubeconfigs of one cluster, made with the openssl command."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dev import tools
from dev.errors import DevError

DAYS = "3650"


@dataclass(frozen=True)
class KeyPair:
    """A private key and its certificate, both PEM files."""

    key: Path
    cert: Path


@dataclass(frozen=True)
class Authority:
    """A certificate authority that lives in one folder."""

    folder: Path
    pair: KeyPair

    @staticmethod
    def create(folder: Path, name: str = "ca") -> Authority:
        """Make a self-signed authority `<name>.crt` in `folder`."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        pair = KeyPair(folder / f"{name}.key", folder / f"{name}.crt")
        new_key(pair.key)
        extensions = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"]
        subject = f"/CN=seatrial-{name}"
        self_signed = ["-x509", "-new", "-days", DAYS, "-subj", subject, *extensions]
        _openssl("req", *self_signed, "-key", pair.key, "-out", pair.cert)
        return Authority(folder, pair)

    def issue(self, name: str, subject: str, sans: tuple[str, ...] = ()) -> KeyPair:
        """Issue a certificate for clients, and for a server when it has `sans`.

        `subject` is openssl's, such as ``/O=system:masters/CN=admin``: the
        organisation is the Kubernetes group, the name is the user. `sans` are
        such as ``IP:127.0.0.1`` and ``DNS:localhost``.
        """
        pair = KeyPair(self.folder / f"{name}.key", self.folder / f"{name}.crt")
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        lines = ["keyUsage=critical,digitalSignature", "extendedKeyUsage=clientAuth"]
        if sans:
            lines = [lines[0], "extendedKeyUsage=serverAuth,clientAuth", f"subjectAltName={','.join(sans)}"]
        extensions.write_text("\n".join(lines) + "\n", encoding="utf-8")
        new_key(pair.key)
        _openssl("req", "-new", "-key", pair.key, "-out", request, "-subj", subject)
        signed_by: list[str | Path] = ["-CA", self.pair.cert, "-CAkey", self.pair.key, "-CAcreateserial"]
        _openssl("x509", "-req", "-in", request, "-out", pair.cert, "-days", DAYS, "-extfile", extensions, *signed_by)
        request.unlink()
        extensions.unlink()
        return pair

    def kubeconfig(self, path: Path, server: str, client: KeyPair, cluster: str = "seatrial") -> Path:
        """Write a kubeconfig that carries its certificates, so that it can be moved."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": cluster,
            "clusters": [
                {"name": cluster, "cluster": {"server": server, "certificate-authority-data": _base64(self.pair.cert)}}
            ],
            "users": [
                {
                    "name": cluster,
                    "user": {
                        "client-certificate-data": _base64(client.cert),
                        "client-key-data": _base64(client.key),
                    },
                }
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return path


def new_key(path: Path) -> Path:
    """A private key on P-256: made in milliseconds, unlike RSA."""
    path.touch(mode=0o600)
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    return path


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _openssl(*arguments: str | Path) -> None:
    openssl = tools.find_command("openssl")
    if openssl is None:
        raise DevError("The command openssl is needed. Install it: sudo apt-get install openssl")
    answer = subprocess.run([openssl, *map(str, arguments)], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise DevError(f"`openssl {arguments[0]}` failed: {answer.stderr.strip()}")
