"""A throw-away certificate authority and the credentials of whoever talks to a test cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_USES = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


@dataclass(frozen=True)
class Credential:
    """A certificate and its private key, as PEM files."""

    certificate_path: Path
    key_path: Path


class Authority:
    """Signs certificates that are valid for a day; everything lies in one folder.

    Parameters
    ----------
    folder
        Made when needed.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test cluster")])
        self._certificate = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))
        self.certificate_path = folder / "ca.crt"
        self.certificate_path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, user: str, *, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> Credential:
        """A certificate of a user in groups, or of a server at host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        extensions = [x509.ExtendedKeyUsage(_USES), *([_alternative_names(hosts)] if hosts else [])]
        certificate = self._signed(subject, key, *extensions)
        path = self._folder / user.replace(":", "-")
        credential = Credential(path.with_suffix(".crt"), write_key(path.with_suffix(".key"), key))
        credential.certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return credential

    def kubeconfig(self, server_url: str, user: str, *, groups: Sequence[str] = ()) -> Path:
        """A file with which kubectl, helm and clients act as a user."""
        credential = self.issue(user, groups=groups)
        return self.write_kubeconfig(
            user,
            server_url,
            {
                "client-certificate": str(credential.certificate_path),
                "client-key": str(credential.key_path),
            },
        )

    def write_kubeconfig(self, name: str, server_url: str, login: dict[str, str]) -> Path:
        """A file with which kubectl, helm and clients log in by a certificate or a token."""
        cluster = {"server": server_url, "certificate-authority": str(self.certificate_path)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": login}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        }
        path = self._folder / f"{name.replace(':', '-')}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content))
        return path

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(subject_name=subject, issuer_name=self._name, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self._key, hashes.SHA256())


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    """Store a private key that only its owner may read."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    path.touch(mode=0o600)
    path.write_bytes(pem)
    return path


def _alternative_names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [x509.IPAddress(IPv4Address(host)) if host[0].isdigit() else x509.DNSName(host) for host in hosts]
    )
