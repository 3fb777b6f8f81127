"""Before a step gets weights: are they what their names say, and would loading them run anything?

Pickles are to be declared (`format: pickle`) and may use the names alone that tensors are made of.
There is no way around: whoever trusts such a file can load it and save it as safetensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cvl.core.pickles import NoPickle, Refused, scan
from cvl.core.weight_files import mistaken
from cvl.core.weights import is_pickled
from cvl.errors import WeightsError
from cvl.ops.session import Session
from cvl.ops.weights.own import sha256_of

CONVERT = (
    "ask its makers for safetensors, or convert it on a machine that you can lose:"
    " https://huggingface.co/docs/safetensors/convert-weights"
)
AGAIN = "get it anew: cvl models repair fetches what came from the hub"
NONE = "no pickle: "
"""Before what is said of a file that is named like a pickle, and that no loader would take."""


def vet(session: Session, what: str, declared: str, files: Mapping[str, Path]) -> None:
    """Look at the files of weights called `what`: name -> file. declared: their format, as the
    manifest says. Raises WeightsError."""
    for name, path in sorted(files.items()):
        _check_kind(what, name, path)
        if is_pickled(name):
            _check_pickle(session, what, declared, name, path)


def _check_kind(what: str, name: str, path: Path) -> None:
    with path.open("rb") as stream:
        found = mistaken(name, stream, path.stat().st_size)
    if found:
        raise WeightsError(
            f"{name} of {what} is {found}",
            hint=AGAIN,
            code="not_weights",
        )


def _check_pickle(session: Session, what: str, declared: str, name: str, path: Path) -> None:
    if declared == "safetensors":
        raise WeightsError(
            f"{name} of {what} is a pickle, and example.yaml does not say that it may be one",
            hint="choose other files for these weights in example.yaml, or add: format: pickle",
            code="pickle_undeclared",
        )
    refused = _verdict(session, name, path)
    if refused.startswith(NONE) and declared != "pickle":
        return  # such as the .bin of another program, as which it was declared
    if refused.startswith(NONE):
        text = f"{name} of {what} is {refused}"
        raise WeightsError(text, hint=AGAIN, code="not_weights")
    if refused:
        raise WeightsError(
            f"loading {name} of {what} would run what weights do not need: {refused}",
            hint=CONVERT,
            code="pickle_refused",
        )


def _verdict(session: Session, name: str, path: Path) -> str:
    """Of the content as it is now; a file that has not changed is neither read nor judged again."""
    sha256 = sha256_of(session, path)
    known = session.verdicts.of(sha256)
    if known is None:
        session.report.phase(name, "check", "a pickle: what would it run?")
        known = _scan(path)
        session.verdicts.keep(sha256, known)
    return known


def _scan(path: Path) -> str:
    with path.open("rb") as stream:
        try:
            scan(stream, path.stat().st_size)
        except NoPickle as error:
            return NONE + error.what
        except Refused as error:
            return error.what
    return ""
