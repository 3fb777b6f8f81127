"""What goes wrong with an engine, as one of our errors, with a hint."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from cvl.engine.api import ApiError
from cvl.engine.build import Root, full_engine, is_full_engine, nowhere, says_full
from cvl.engine.endpoint import Endpoint
from cvl.errors import CvlError, EngineError, GpuError

SERVER_ERROR = 500
UNREACHABLE, TIMEOUT = "engine_unreachable", "engine_timeout"


@contextlib.contextmanager
def speaking(endpoint: Endpoint, root: Root = nowhere) -> Iterator[None]:
    """Turn what the API raises into one of our errors, with a hint. root: asked for the folder of
    the engine when its disk is full."""
    try:
        yield
    except ApiError as error:
        found = refused(error.message, endpoint, root)
        # What it could not make is "no such file" a moment later: the kernel does not say why.
        if found.code == "engine" and error.status >= SERVER_ERROR and is_full_engine(root()):
            found = full_engine(root())
        raise found from error
    except TimeoutError as error:
        raise EngineError(
            f"the Docker engine at {endpoint.url} does not answer",
            hint="restart it (sudo systemctl restart docker), then run: cvl doctor",
            code=TIMEOUT,
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreachable(error, endpoint) from error


def refused(text: str, endpoint: Endpoint, root: Root = nowhere) -> CvlError:
    """What the engine's own words come down to."""
    low = text.lower()
    if says_full(text):
        return full_engine(root())
    if "could not select device driver" in low or "nvidia-container" in low:
        return GpuError(
            f"the GPU could not be given to the container: {text}",
            hint="install nvidia-container-toolkit, then run: sudo nvidia-ctk runtime configure "
            "--runtime=docker",
            code="gpu_not_available",
        )
    if "bind source path does not exist" in low:
        return EngineError(
            f"the Docker engine at {endpoint.url} does not see this machine's files",
            hint="it runs on another machine or in a sandbox (snap); use an engine of this machine",
            code="engine_remote",
        )
    return EngineError(f"the Docker engine refused: {text}", hint="run: cvl doctor")


def lost(endpoint: Endpoint) -> EngineError:
    """It went away under what it was asked to do."""
    return EngineError(
        f"the Docker engine at {endpoint.url} was lost: it answers no more",
        hint="when cvl doctor finds it again, run the command again; nothing was published",
        code="engine_lost",
    )


def _unreachable(error: Exception, endpoint: Endpoint) -> EngineError:
    if isinstance(error, PermissionError):
        user = os.environ.get("USER", "$USER")
        return EngineError(
            f"no permission to use the Docker engine at {endpoint.url}",
            hint=f"sudo usermod -aG docker {user}, then log in again",
            code="engine_permission",
        )
    return EngineError(
        f"no Docker engine answers at {endpoint.url} ({endpoint.source})",
        hint="start Docker (sudo systemctl start docker), then run: cvl doctor",
        code=UNREACHABLE,
    )
