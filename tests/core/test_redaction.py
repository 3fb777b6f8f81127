"""Secrets leave no text, however they are spelled and wherever the stream is cut."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from cvl.core.redaction import (
    Redaction,
    is_secret_name,
    passwords_in,
    without_passwords,
    without_secrets,
)

KEY = 'sk-"Ab\\9/+é=&canary'
HIDDEN = Redaction({"API_KEY": KEY, "OTHER": "sk-other-secret"})
SPELLINGS = {
    "plain": KEY,
    "JSON": json.dumps({"key": KEY}),
    "Python": repr({"key": KEY}),
    "address": f"https://host/?key={quote(KEY, safe='')}",
    "hexadecimal": KEY.encode().hex(),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64 of more": base64.b64encode(f"user:{KEY}:x".encode()).decode(),
    "urlsafe base64 of more": base64.urlsafe_b64encode(f"a {KEY}".encode()).decode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_hidden(spelling: str) -> None:
    text = HIDDEN.hide(f"before {SPELLINGS[spelling]} after")
    assert "[API_KEY]" in text and text.startswith("before ") and text.endswith(" after")
    assert "canary" not in text and quote(KEY) not in text


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_stream_hides_them_wherever_it_is_cut(size: int) -> None:
    data = " ".join([*SPELLINGS.values(), "sk-other-secret", "sk-", "end sk-"]).encode()
    got: list[bytes] = []
    stream = HIDDEN.stream(got.append)
    for start in range(0, len(data), size):
        stream.write(data[start : start + size])
    stream.close()
    assert b"".join(got) == HIDDEN.hide_bytes(data)
    assert b"canary" not in b"".join(got) and b"".join(got).endswith(b"sk- end sk-")


def test_a_stream_keeps_nothing_back_but_what_may_be_a_secret() -> None:
    got: list[bytes] = []
    stream = HIDDEN.stream(got.append)
    stream.write(b"progress 10 %\rsk")
    assert got == [b"progress 10 %\r"]
    stream.write(b"ip")
    assert b"".join(got) == b"progress 10 %\rskip"


def test_a_secret_that_was_cut_off_is_hidden_too() -> None:
    """A program is killed in the middle of a line, a message has a longest length."""
    assert HIDDEN.hide("error: sk-other-se") == "error: [cut off]"
    assert HIDDEN.hide("error: sk-ot") == "error: sk-ot"
    got: list[bytes] = []
    stream = HIDDEN.stream(got.append)
    stream.write(b"error: sk-other-se")
    stream.close()
    assert b"".join(got) == b"error: [cut off]"


def test_all_texts_of_a_document_are_looked_at() -> None:
    told = {"message": f"no: {KEY}", KEY: [1, {"deep": [KEY]}], "exit": 1}
    assert HIDDEN.hide_all(told) == {
        "message": "no: [API_KEY]", "[API_KEY]": [1, {"deep": ["[API_KEY]"]}], "exit": 1,
    }  # fmt: skip


def test_lines_of_a_key_in_several_lines_are_hidden_one_by_one() -> None:
    pem = Redaction({"KEY": "-----BEGIN-----\nMIIabcdef123\nMIIghijkl456\n-----END-----\n"})
    assert pem.hide("read line 2: MIIghijkl456") == "read line 2: [KEY]"


def test_without_secrets_nothing_changes() -> None:
    assert Redaction({}).hide("text") == "text"
    assert Redaction({"SHORT": "abc"}).hide("abc") == "abc"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("HF_TOKEN", True), ("HUGGING_FACE_HUB_TOKEN", True), ("OPENAI_API_KEY", True),
        ("AWS_SECRET_ACCESS_KEY", True), ("GITHUB_TOKEN", True), ("password", True),
        ("ELEVEN_KEY", True), ("APIKEY", True), ("HF_TOKEN_PATH", False),
        ("MAX_TOKENS", False), ("BASE_IMAGE", False), ("KEYBOARD", False),
        ("TOKENIZERS_PARALLELISM", False), ("MAX_TOKENIZED", False), ("SSH_AUTH_SOCK", False),
    ],
)  # fmt: skip
def test_names_say_what_is_secret(name: str, secret: bool) -> None:
    assert is_secret_name(name) == secret


def test_passwords_of_proxies_are_found_as_written_and_decoded() -> None:
    proxies = {"http_proxy": "http://me:p%40ssword1@proxy:3128", "no_proxy": "localhost",
               "all_proxy": "me:opensesame@proxy:1", "https_proxy": "http://[broken"}  # fmt: skip
    found = set(passwords_in(proxies.values()).values())
    assert found == {"me:p%40ssword1", "p%40ssword1", "p@ssword1", "me:opensesame", "opensesame"}
    assert without_passwords(proxies).keys() == {"no_proxy", "https_proxy"}


def test_a_program_that_cvl_starts_gets_no_secret_but_those_of_its_own() -> None:
    environment = {"PATH": "/bin", "HF_TOKEN": "x", "AWS_SESSION_TOKEN": "of a credential helper",
                   "ELEVEN": "declared", "http_proxy": "http://u:p@h"}  # fmt: skip
    kept = without_secrets(environment, ["ELEVEN"])
    assert set(kept) == {"PATH", "AWS_SESSION_TOKEN", "http_proxy"}
