"""A certificate authority and a server that it vouches for, made anew with openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.packages import which

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650")


@dataclass(frozen=True)
class Authority:
    """bundle: the authority's certificate. server: key and certificate for localhost."""

    bundle: Path
    server: Path


def make_authority(folder: Path) -> Authority:
    """In the new folder `folder`."""
    folder.mkdir()
    name = folder / "localhost.cnf"
    name.write_text("subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n")
    own = ("-keyout", "ca.key", "-out", "ca.pem")
    _openssl(folder, "req", "-x509", *CURVE, "-subj", "/CN=company", *own)
    _openssl(folder, "req", *CURVE, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "csr")
    signer = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", str(name))
    _openssl(folder, "x509", "-req", "-in", "csr", *signer, "-days", "3650", "-out", "cert.pem")
    server = folder / "server.pem"
    server.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return Authority(folder / "ca.pem", server)


def _openssl(folder: Path, *arguments: str) -> None:
    command = [which("openssl") or "openssl", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
