"""The disk of Docker itself runs full: while an image is built or fetched, and when a container is
made of it. The engine is one of the test's own, on a small disk."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import STUBS, environment_for, run_cvl
from tests.support import engine as engines
from tests.support import images, registry
from tests.support.disks import FULL, Disk, levels, loop_disk
from tests.support.leaks import leaked, take

MIB = 1 << 20
DISK_MB = 1100
LAYER_MB = 16
SERVED = "cvl-test/large:latest"
PREDICT = ("run", "stub", "predict", "--no-cache", "--overwrite", "--json", "--output", "o.txt")


@dataclass(frozen=True)
class DockerDisk:
    """A home whose engine has little room."""

    engine: engines.Engine
    disk: Disk
    folder: Path

    def cvl(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = environment_for(self.engine, self.folder / "home")
        environment["CVL_EXAMPLES"] = str(self.folder / "examples")
        return run_cvl(environment, self.folder, *words)

    def refused(self, *words: str) -> None:
        """Exit 8, the mount named, and nothing left but a few KB that BuildKit keeps for itself."""
        before = self.disk.used
        result = self.cvl(*words)
        assert result.returncode == 8, (result.stdout, result.stderr)
        error = json.loads(result.stdout)["error"]
        assert error["code"] == "disk_full"
        assert f"the disk at {self.disk.mount}, which holds Docker's images" in error["message"]
        assert "cvl gc" in error["hint"] and "docker system df" in error["hint"]
        assert self.disk.comes_back_to(before)
        if FULL:
            self.works(*words)

    def works(self, *words: str) -> None:
        self.disk.clear()
        result = self.cvl(*words)
        assert result.returncode == 0, (result.stdout, result.stderr)


@pytest.fixture(scope="module")
def small_engine(
    engine: engines.Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[engines.Engine, Disk]]:
    folder = tmp_path_factory.mktemp("docker")
    with loop_disk(folder / "disk.img", folder / "root", DISK_MB) as disk:
        started = engines.start(disk.mount, namespace=True)
        try:
            images.copy_image(engine, started, images.PYTHON)
            yield started, disk
        finally:
            started.stop()


@pytest.fixture
def docker(small_engine: tuple[engines.Engine, Disk], tmp_path: Path) -> Iterator[DockerDisk]:
    found = DockerDisk(*small_engine, tmp_path)
    before = take(found.engine, tmp_path, tmp_path / "home")
    shutil.copytree(STUBS / "stub", tmp_path / "examples" / "stub")
    yield found
    found.disk.clear()
    assert leaked(before, take(found.engine, tmp_path, tmp_path / "home")) == []


@pytest.mark.docker
def test_a_build_that_fills_the_disk_of_docker_is_undone(docker: DockerDisk) -> None:
    dockerfile = docker.folder / "examples" / "stub" / "Dockerfile"
    text = dockerfile.read_text()
    for number, left in enumerate(levels(LAYER_MB * MIB)):
        write = f"RUN head -c {LAYER_MB << 20} /dev/zero > /large && echo {number}"
        dockerfile.write_text(text.replace("WORKDIR", f"{write}\nWORKDIR"))
        docker.disk.fill(left)
        docker.refused("run", "stub", "build", "--json")
    docker.works("run", "stub", "build", "--json")


@pytest.mark.docker
def test_a_container_that_does_not_fit_is_not_left_half_made(docker: DockerDisk) -> None:
    docker.works(*PREDICT)
    (docker.folder / "o.txt").write_text("old")
    for left in levels(16 * 4096):
        docker.disk.fill(left)
        docker.refused(*PREDICT)
        assert FULL or (docker.folder / "o.txt").read_text() == "old"
    docker.works(*PREDICT)


@pytest.mark.docker
def test_an_image_that_does_not_fit_is_not_left_half_fetched(
    docker: DockerDisk, engine: engines.Engine
) -> None:
    """An image of one layer that nothing can be run in: fetching it is all there is to it."""
    archive, work = docker.folder / "layer.tar", docker.folder / "registry"
    work.mkdir()
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo("large")
        entry.size = LAYER_MB << 20
        tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    engine.docker("import", str(archive), SERVED)
    try:
        with registry.serving(engine, SERVED, work, to=docker.engine) as reference:
            manifest = (STUBS / "stub" / "example.yaml").read_text()
            prebuilt = docker.folder / "examples" / "stub" / "example.yaml"
            prebuilt.write_text(f"{manifest}image: {reference}\n")
            for left in levels(LAYER_MB * MIB):
                docker.disk.fill(left)
                docker.refused("run", "stub", "build", "--json")
                docker.engine.docker("rmi", reference, check=False)
            docker.works("run", "stub", "build", "--json")
            docker.engine.docker("rmi", reference)
    finally:
        engine.docker("rmi", SERVED)
