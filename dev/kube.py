"""The command lines of etcd and of the API server, shared by both ways to run them."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from dev.pki import Authority, KeyPair, new_key


@dataclass(frozen=True)
class ApiServer:
    """Where one API server listens and what it trusts."""

    folder: Path
    """Certificates, data and audit log live under it."""
    address: str
    port: int
    etcd_port: int
    services: str
    """The range of Service addresses, CIDR."""

    @property
    def url(self) -> str:
        """Its address as clients write it."""
        return f"https://{self.address}:{self.port}"

    @property
    def pki(self) -> Path:
        """The folder of the certificates."""
        return self.folder / "pki"

    def create_pki(self, sans: tuple[str, ...]) -> Authority:
        """Make the authority, the server's certificate and the key of service accounts."""
        authority = Authority.create(self.pki)
        names = ("DNS:localhost", "DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc")
        authority.issue("apiserver", "/CN=kube-apiserver", (f"IP:{self.address}", "IP:127.0.0.1", *names, *sans))
        new_key(self.pki / "service-accounts.key")
        return authority

    def etcd_command(self, etcd: Path) -> list[str | Path]:
        """etcd on loopback; nothing here outlives a crash of the machine, so it does not sync."""
        client, peer = f"http://127.0.0.1:{self.etcd_port}", "http://127.0.0.1:0"
        return [
            etcd,
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def command(self, apiserver: Path) -> list[str | Path]:
        """The API server itself, with RBAC and an audit log if there is a policy."""
        pki = self.pki
        argv: list[str | Path] = [
            apiserver,
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            f"--secure-port={self.port}",
            f"--service-cluster-ip-range={self.services}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            f"--cert-dir={pki}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki / 'service-accounts.key'}",
            f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        ]
        return argv

    def ready(self, client: KeyPair) -> bool:
        """Whether ``/readyz`` answers 200."""
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(client.cert, client.key)
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2, context=context) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
