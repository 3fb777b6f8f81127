"""Proxies, bundles and the model cache, without passwords and tokens."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from cvl.core.doctor.facts import BundleFact, ModelCacheFacts, ProxyFact
from cvl.machine.authorities import proxy_names
from cvl.machine.surroundings import read_bundles, read_model_cache, read_proxies
from tests.support.certificates import AUTHORITY


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://ada:secret@proxy.example.com:3128/x?y", "http://proxy.example.com:3128"),
        ("proxy:8080", "http://proxy:8080"),
        ("http://ada:s%40c:ret@[::1]:3128", "http://::1:3128"),
        ("http://ada:secret@proxy:port", "unreadable"),
        ("secret@", "unreadable"),
    ],
)
def test_a_proxy_is_shown_without_its_password(value: str, shown: str) -> None:
    found = read_proxies({"HTTPS_PROXY": value})
    assert found == (ProxyFact("HTTPS_PROXY", shown),)
    assert "secret" not in str(found)


def test_a_proxy_in_both_spellings_is_told_once_and_passed_on_as_both() -> None:
    both = {"http_proxy": "http://b", "HTTP_PROXY": "http://a", "no_proxy": "x", "HTTPS_PROXY": ""}
    assert read_proxies(both) == (ProxyFact("HTTP_PROXY", "http://a"), ProxyFact("no_proxy", "x"))
    assert proxy_names(both) == ("HTTP_PROXY", "http_proxy", "no_proxy")


def test_a_bundle_is_told_once_with_everybody_who_names_it(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pem", tmp_path / "bad.pem"
    good.write_text(AUTHORITY * 1)
    bad.write_text("not a certificate\n")
    found = read_bundles(
        {"SSL_CERT_FILE": str(good), "PIP_CERT": str(bad), "REQUESTS_CA_BUNDLE": "/nowhere.pem"},
        str(good),
    )
    assert found == (
        BundleFact("ca_bundle, SSL_CERT_FILE", str(good), 1, "", True),
        BundleFact("REQUESTS_CA_BUNDLE", "/nowhere.pem", 0, "No such file or directory", False),
        BundleFact("PIP_CERT", str(bad), 0, "it holds no certificate in PEM format", False),
    )
    ssl.create_default_context(cafile=str(good))


def test_the_model_cache_is_where_huggingface_hub_has_it(tmp_path: Path) -> None:
    assert read_model_cache({"HF_HOME": "/a"}).hub == "/a/hub"
    assert read_model_cache({"HF_HOME": "/a", "HF_HUB_CACHE": "/b"}).hub == "/b"
    assert read_model_cache({"XDG_CACHE_HOME": "/c"}).hub == "/c/huggingface/hub"
    assert read_model_cache({}).hub.endswith("/.cache/huggingface/hub")


def test_a_token_is_found_and_never_shown(tmp_path: Path) -> None:
    home = {"HF_HOME": str(tmp_path)}
    assert read_model_cache({**home, "HF_HUB_OFFLINE": "1"}) == ModelCacheFacts(
        f"{tmp_path}/hub", offline=True, token=""
    )
    (tmp_path / "token").write_text("hf_secret")
    assert read_model_cache(home).token == f"{tmp_path}/token"
    found = read_model_cache({**home, "HF_TOKEN": "hf_secret"})
    assert found.token == "HF_TOKEN" and "secret" not in str(found)
