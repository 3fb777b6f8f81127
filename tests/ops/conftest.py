"""A session on the fake engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvl.engine.fake import FakeEngine
from cvl.ops.session import Session
from tests.ops.bench import Bench, Recorder, say
from tests.ops.ladders import Machine, machine_with


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A home of the test's own, the example `say`, and an engine whose program says it."""
    for name in ("CVL_EXAMPLES", "CVL_FAULT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CVL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CVL_LEASE_DIR", str(tmp_path / "leases"))
    engine, report = FakeEngine(say), Recorder()
    session = Session(report=report, connect=lambda: engine)
    bench = Bench(tmp_path, engine, session, report)
    bench.add("say")
    return bench


@pytest.fixture
def machine(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """With an example of six rungs."""
    return machine_with(6, bench, monkeypatch)
