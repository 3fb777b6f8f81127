"""Our own code of a model gives upstream's numbers in the example's image, by the very packages
that it runs on."""

from __future__ import annotations

import subprocess

import pytest

from tests.examples.models import REPOSITORY, Models, built
from tests.support.engine import Engine
from tests.support.packages import which

pytestmark = pytest.mark.docker
EXAMPLES = sorted(
    path.name for path in (REPOSITORY / "tests" / "models").iterdir() if path.is_dir()
)
PYTEST = ("-m", "pytest", "-c", "/dev/null", "--noconftest", "-p", "no:cacheprovider", "-q")


@pytest.mark.parametrize("example", EXAMPLES)
def test_it_agrees_with_upstream(example: str, served: Models, engine: Engine) -> None:
    """One thread: networks this small lose by more."""
    docker = [which("docker") or "docker", "--host", engine.host, "run", "--rm"]
    result = subprocess.run(
        [*docker, "--network", "none", "--entrypoint", "python", "--env", "OMP_NUM_THREADS=1",
         "--volume", f"{REPOSITORY}:/repository:ro", "--workdir", "/repository",
         built(example, served.environment), *PYTEST, f"tests/models/{example}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
