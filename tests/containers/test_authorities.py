"""A company's own certificate authority, in a real build and a real run: seen while they work, and
nowhere in the image."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pip
import pytest

from tests.conftest import Cvl, data_of
from tests.support.authority import Authority, make_authority
from tests.support.engine import Engine
from tests.support.packages import which

pytestmark = pytest.mark.docker
MANIFEST = """\
name: trusting
summary: Says what it was given
license: {code: Apache-2.0}
resources: {gpu: none, memory_limit_gb: 1}
network: true
inputs:
  text: {type: string, default: hi}
outputs:
  result: {type: json, default: result.json}
"""
# The second stage has no variables of the base image: a bundle that it names would win.
DOCKERFILE = """\
ARG BASE_IMAGE=cvl-test/python
FROM ${BASE_IMAGE} AS base
FROM scratch
COPY --from=base / /
WORKDIR /app
COPY vendor /app/vendor
COPY server.pem index.py /app/
RUN python3 index.py \\
 # comments may stand between
 && rm -r vendor
COPY cvl_inside /app/cvl_inside
COPY example.json /app/
COPY *.py /app/
ENTRYPOINT ["python3", "predict.py"]
"""
INDEX = """\
import functools, http.server, os, ssl, subprocess, sys, threading, zipfile
os.makedirs("/srv/simple/said")
with zipfile.ZipFile("/srv/simple/said/said-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("said.py", "")
    wheel.writestr("said-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: said\\n"
                   "Version: 1\\n")
    wheel.writestr("said-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
                   "Tag: py3-none-any\\n")
    wheel.writestr("said-1.dist-info/RECORD", "")
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/srv")
server = http.server.HTTPServer(("localhost", 0), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("server.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
proxies = ("http_proxy", "https_proxy", "all_proxy")
environment = {k: v for k, v in os.environ.items() if k.lower() not in proxies}
with open("/srv/proxied", "w") as stream:
    stream.write("yes" if "proxy.invalid" in os.environ.get("HTTPS_PROXY", "") else "no")
sys.exit(subprocess.call(
    [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--retries", "0",
     "--target", "/srv/installed",
     "--index-url", f"https://localhost:{server.server_port}/simple", "said"],
    env={**environment, "PYTHONPATH": "/app/vendor"}))
"""
PREDICT = """\
import json, os
from cvl_inside import Predictor, run

class Trusting(Predictor):
    def predict(self, ctx, *, text):
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "no_proxy")
        told = {name: os.environ.get(name) for name in names}
        path = told["SSL_CERT_FILE"]
        told["bundle"] = open(path).read() if path and os.path.exists(path) else ""
        told["secrets"] = os.path.exists("/run/secrets")
        target = ctx.output("result")
        with open(target, "w") as stream:
            json.dump(told, stream)
        return {"result": target}

if __name__ == "__main__":
    run(Trusting)
"""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path / "authority")


@pytest.fixture
def examples(tmp_path: Path, authority: Authority) -> str:
    """An example whose build installs a package from a server that the authority vouches for. pip
    is that of the tests."""
    folder = tmp_path / "examples" / "trusting"
    folder.mkdir(parents=True)
    for name, text in (
        ("example.yaml", MANIFEST), ("Dockerfile", DOCKERFILE), ("index.py", INDEX),
        ("predict.py", PREDICT),
    ):  # fmt: skip
        (folder / name).write_text(text)
    shutil.copyfile(authority.server, folder / "server.pem")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(pip.__file__).parent, folder / "vendor" / "pip", ignore=ignored)
    return str(folder.parent)


def test_pip_in_a_build_sees_the_bundle_and_the_image_does_not_hold_it(
    cvl: Cvl, examples: str, authority: Authority, engine: Engine, tmp_path: Path
) -> None:
    build = ("run", "trusting", "build", "--examples", examples, "--json")
    without = cvl(*build)
    assert without.returncode == 1 and "CERTIFICATE_VERIFY_FAILED" in without.stdout
    bundle = str(authority.bundle)
    proxy = {"HTTPS_PROXY": "http://ada:secret@proxy.invalid:3128"}
    (image,) = data_of(cvl(*build, "--ca-bundle", bundle, env=proxy))["images"]
    assert image["built"] is True
    try:
        again = data_of(cvl(*build))["images"][0]
        assert again == {**image, "built": False}, "the context's digest knows no bundle"
        history = engine.docker("history", "--no-trunc", image["tag"])
        described = json.dumps(engine.inspect(image["tag"]))
        marks = [line for line in authority.bundle.read_text().splitlines() if "-----" not in line]
        for text in (history, described):
            assert "proxy.invalid" not in text and not [mark for mark in marks if mark in text]
        assert "RUN" in history and "SSL_CERT_FILE" not in described
        files = layer_files(engine, image["tag"], tmp_path)
        assert not [name for name, data in files.items() if marks[0].encode() in data]
        assert "srv/installed/said.py" in files
        assert files["srv/proxied"] == b"yes"
        assert not any(data for name, data in files.items() if name.startswith("run/secrets"))
        run_of(cvl, examples, bundle, tmp_path)
    finally:
        engine.docker("rmi", "--force", image["tag"])


def run_of(cvl: Cvl, examples: str, bundle: str, tmp_path: Path) -> None:
    """A run with a network gets it as well, and the proxies; one without a bundle gets none."""
    target = tmp_path / "result.json"
    proxy = {"HTTPS_PROXY": "http://proxy.invalid:3128", "no_proxy": "localhost"}
    run = ("run", "trusting", "predict", "--examples", examples, "-o", str(target), "--overwrite")
    done = cvl(*run, env={**proxy, "CVL_CA_BUNDLE": bundle})
    assert done.returncode == 0, done.stderr
    told = json.loads(target.read_text())
    assert told["bundle"] == Path(bundle).read_text()
    assert told["REQUESTS_CA_BUNDLE"] == told["CURL_CA_BUNDLE"] == told["SSL_CERT_FILE"]
    assert (told["HTTPS_PROXY"], told["no_proxy"]) == tuple(proxy.values())
    assert cvl(*run).returncode == 0
    bare = json.loads(target.read_text())
    assert (bare["SSL_CERT_FILE"], bare["secrets"]) == (None, False)


def layer_files(engine: Engine, reference: str, folder: Path) -> dict[str, bytes]:
    """Every file of every layer of an image (its first MiB), and what the archive says of it."""
    archive = folder / "image.tar"
    command = [which("docker") or "docker", "--host", engine.host, "save", reference]
    with archive.open("wb") as stream:
        subprocess.run(command, stdout=stream, check=True)
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as image:
        for member in image:
            if not member.isfile():
                continue
            data = image.extractfile(member)
            assert data is not None
            is_layer = tarfile.is_tarfile(data)
            data.seek(0)
            if not is_layer:
                found[f"archive/{member.name}"] = data.read()
                continue
            with tarfile.open(fileobj=data) as layer:
                for item in layer:
                    content = layer.extractfile(item) if item.isfile() else None
                    found[item.name] = content.read(1 << 20) if content else b""
    archive.unlink()
    return found
