"""A bundle is looked at before anything is built, and reaches builds and runs with a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvl.engine.fake import FakeContainer
from cvl.engine.protocol import BuildSpec
from cvl.errors import InputError
from cvl.ops.authorities import MAX_BUNDLE, check_bundle
from tests.ops.bench import SAY, Bench, say
from tests.support.certificates import AUTHORITY

BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A good one; no proxy is set."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    path = tmp_path / "company, inc.pem"
    path.write_text(AUTHORITY)
    return str(path)


def test_no_bundle_is_no_bundle(bundle: str) -> None:
    assert check_bundle("") == ""
    assert check_bundle(bundle) == bundle


@pytest.mark.parametrize("text", [None, "", "no certificate", AUTHORITY[: len(AUTHORITY) // 2]])
def test_what_is_no_bundle_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "bundle.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=r"the CA bundle .* cannot be used") as caught:
        check_bundle(str(path))
    assert "CVL_CA_BUNDLE" in caught.value.hint


def test_a_bundle_that_no_build_can_take_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle.pem"
    path.write_text(AUTHORITY + "#" * MAX_BUNDLE)
    with pytest.raises(InputError, match="larger than 500 KiB"):
        check_bundle(str(path))


def test_a_build_gets_it_as_a_secret_and_the_example_stays_as_it_is(
    bench: Bench, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[BuildSpec, str, str]] = []

    def build(spec: BuildSpec) -> None:
        dockerfile = (Path(spec.context_dir) / "Dockerfile").read_text()
        seen.append((spec, dockerfile, Path(spec.secrets["cvl_ca"]).read_text()))

    own = bench.folder / "examples" / "say" / "Dockerfile"
    own.write_text("FROM x\nRUN y\n")
    own.chmod(0o444)
    monkeypatch.setenv("https_proxy", "http://ada:secret@proxy:1")
    bench.engine.builder = build
    bench.session.ca_bundle = bundle
    bench.run()
    ((spec, dockerfile, secret),) = seen
    assert "RUN --mount=type=secret,id=cvl_ca,mode=0444 " in dockerfile
    assert (secret, own.read_text()) == (AUTHORITY, "FROM x\nRUN y\n")
    assert spec.inherited == ("https_proxy",) and "secret" not in str(spec.args)
    before = bench.calls("build")
    bench.session.ca_bundle = ""
    bench.run(output="again.txt")
    assert bench.calls("build") == before
    assert bench.leftovers() == []


@pytest.mark.parametrize("network", [True, False])
def test_only_runs_with_a_network_get_it(
    bench: Bench, bundle: str, network: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[FakeContainer] = []

    def program(container: FakeContainer) -> int:
        seen.append(container)
        if network:
            assert container.host("/cvl/authorities.pem").read_text() == AUTHORITY
        return say(container)

    text = SAY.format(name="online", gpu="none") + ("network: true\n" if network else "")
    bench.add("online", text)
    bench.play(program)
    monkeypatch.setenv("NO_PROXY", "localhost")
    bench.session.ca_bundle = bundle
    bench.run("online")
    spec = seen[0].spec
    wanted = "/cvl/authorities.pem" if network else None
    assert [spec.environment.get(name) for name in BUNDLES] == [wanted] * 4
    assert spec.environment.get("NO_PROXY") == ("localhost" if network else None)
    mounts = [m for m in spec.mounts if m.target == "/cvl/authorities.pem"]
    assert [m.read_only for m in mounts] == ([True] if network else [])
