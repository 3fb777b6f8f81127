"""Fetching an image from its registry, with the docker package: it reads the logins and asks the
credential helpers of the docker client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env

from cvl.engine.build import Root, full_engine, says_full
from cvl.engine.endpoint import Endpoint
from cvl.engine.protocol import BuildProgress, Cancelled, OnBuild
from cvl.errors import CvlError, EngineError

# Between two lines of a pull, which come several times a second while anything arrives.
PULL_TIMEOUT_S = 120
POLL_S = 0.1
PULLED = ("Pull complete", "Already exists")


def pull_image(
    endpoint: Endpoint,
    reference: str,
    on_progress: OnBuild,
    cancelled: Cancelled,
    root: Root,
) -> None:
    """Pull `reference`; returns early when `cancelled` says so. EngineError when it cannot be,
    DiskFullError when the disk with the engine's folder, `root`, is full."""
    try:
        refusal = _in_thread(lambda: _pull(endpoint, reference, on_progress, cancelled), cancelled)
    except APIError as error:
        raise _named(reference, str(error.explanation or error), root) from error
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        raise EngineError(
            f"{reference} could not be pulled: the connection to the Docker engine broke",
            hint="run: cvl doctor",
            code="engine_timeout",
        ) from error
    if refusal:
        raise _named(reference, refusal, root)


def _in_thread(pull: Callable[[], str], cancelled: Cancelled) -> str:
    """An engine that stops answering holds up whoever reads from it: that is not us."""
    failures: list[Exception] = []
    refusals: list[str] = []

    def work() -> None:
        try:
            refusals.append(pull())
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=work, daemon=True, name="cvl-pull")
    thread.start()
    while thread.is_alive() and not cancelled():
        thread.join(POLL_S)
    if failures:
        raise failures[0]
    return refusals[0] if refusals else ""


def _named(reference: str, why: str, root: Root) -> CvlError:
    if says_full(why):
        return full_engine(root())
    return EngineError(
        f"{reference} cannot be pulled: {why.strip()}",
        hint="check the network, the name, and docker login",
        code="pull_failed",
    )


def _pull(endpoint: Endpoint, reference: str, on_progress: OnBuild, cancelled: Cancelled) -> str:
    """What the engine said against it; empty when it said nothing."""
    tls = kwargs_from_env() if endpoint.source == "DOCKER_HOST" else {}
    settings: dict[str, Any] = {**tls, "base_url": endpoint.url}
    client = docker.APIClient(version="auto", timeout=PULL_TIMEOUT_S, **settings)
    layers: dict[str, bool] = {}
    for line in client.pull(reference, stream=True, decode=True):
        if cancelled():
            return ""
        if "error" in line:
            return str(line["error"])
        status = str(line.get("status", ""))
        if "id" in line:
            layers[line["id"]] = status in PULLED
        text = f"{line.get('id', '')} {status}".strip()
        on_progress(BuildProgress(text, sum(layers.values()), len(layers)))
    return ""
