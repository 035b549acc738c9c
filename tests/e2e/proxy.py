"""A real nginx that shows a lab under a sub-path, on this machine only."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

READY_S: Final = 30.0
CONFIGURATION: Final = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{tls_port} ssl;
    ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem;
    # Browsers ask for it by themselves, outside the lab.
    location = /favicon.ico {{ return 204; }}
    location {path}/ {{
      proxy_pass http://127.0.0.1:{upstream}/;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_buffering off;
      client_max_body_size 1100m;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """The addresses under which nginx shows a lab, without its path; who trusts ``certificate``
    alone finds the second one to be who it says.
    """

    http: str
    https: str
    certificate: Path


@contextmanager
def proxied(upstream: int, path: str, folder: Path) -> Iterator[Proxy]:
    """Where nginx shows what listens on port ``upstream``, with and without TLS."""
    _make_certificate(folder)
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "nginx is missing: run make setup-dev"
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        port, tls_port = one.getsockname()[1], other.getsockname()[1]
    text = CONFIGURATION.format(
        folder=folder, port=port, tls_port=tls_port, upstream=upstream, path=path
    )
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf"])
    try:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        assert process.poll() is None, (folder / "error.log").read_text()
        addresses = f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls_port}"
        yield Proxy(*addresses, folder / "certificate.pem")
    finally:
        process.terminate()
        process.wait(timeout=10)


def _make_certificate(folder: Path) -> None:
    """A certificate of this machine's own, signed by nobody else."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=sdlab", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
