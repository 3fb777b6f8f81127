"""Examples and a session on the fake engine: everything of a run but the container."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvl.core import owner as labels
from cvl.engine.fake import FakeContainer, FakeEngine, Program
from cvl.ops.examples import Catalog
from cvl.ops.predict import RunResult, run_request
from cvl.ops.report import Progress
from cvl.ops.request import Options, Request
from cvl.ops.session import Session

WAIT_S = 20
SAY = """\
name: {name}
summary: Says it
license: {{code: Apache-2.0}}
resources: {{gpu: {gpu}, memory_limit_gb: 1}}
inputs:
  text: {{type: string, default: hi}}
  file: {{type: file, optional: true}}
outputs:
  result: {{type: file, default: result.txt}}
secrets: [SAY_SECRET]
"""


@dataclass
class Recorder:
    """A report that keeps what it is told."""

    phases: list[tuple[str, str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    told: threading.Condition = field(default_factory=threading.Condition)

    def phase(self, step: str, phase: str, text: str = "") -> None:
        with self.told:
            self.phases.append((step, phase, text))
            self.told.notify_all()

    def progress(self, progress: Progress) -> None:
        return

    def message(self, text: str) -> None:
        return

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def until(self, phase: str) -> None:
        """Wait until some step is in a phase."""
        with self.told:
            assert self.told.wait_for(lambda: phase in [p for _, p, _ in self.phases], WAIT_S)


@dataclass
class Bench:
    """A CVL_HOME, examples and an engine."""

    folder: Path
    engine: FakeEngine
    session: Session
    report: Recorder

    @property
    def catalog(self) -> Catalog:
        return Catalog([str(self.folder / "examples")])

    @property
    def target(self) -> Path:
        return self.folder / "result.txt"

    def add(self, name: str, text: str = "", *, gpu: str = "none") -> None:
        """An example; without a manifest, a model that says its text."""
        folder = self.folder / "examples" / name
        folder.mkdir(parents=True)
        (folder / "example.yaml").write_text(text or SAY.format(name=name, gpu=gpu))
        (folder / "Dockerfile").write_text("FROM scratch\n")
        (folder / "predict.py").write_text("")

    def run(
        self,
        example: str = "say",
        *,
        output: str = "result.txt",
        session: Session | None = None,
        steps: dict[str, dict[str, Any]] | None = None,
        **options: Any,
    ) -> RunResult:
        """Run an example; what is no option of the runner is an input."""
        known = {name: options.pop(name) for name in Options.__annotations__ if name in options}
        request = Request(
            example=self.catalog.find(example),
            inputs=options,
            outputs={"": str(self.folder / output)},
            overrides=steps or {},
            options=Options(**known),
        )
        return run_request(session or self.session, self.catalog, request)

    def another(self) -> Session:
        """Another command on the same home and engine."""
        return Session(report=Recorder(), connect=lambda: self.engine)

    def play(self, program: Program) -> None:
        self.engine.program = program

    def calls(self, *methods: str) -> list[str]:
        """Those of the engine's calls, in order."""
        return [call.method for call in self.engine.calls if call.method in methods]

    def leftovers(self) -> list[str]:
        """Names of what no run may leave."""
        patterns = ("**/.cvl-staging-*", "home/cache/work/*", "home/state/locks/run/*.lock")
        files = [str(p) for pattern in patterns for p in self.folder.glob(pattern)]
        return [*self.engine.containers, *files]

    def state(self) -> str:
        """How the newest run ended, as it was written down."""
        return self.session.records.runs(limit=1)[0].state


def request_of(container: FakeContainer) -> dict[str, Any]:
    request: dict[str, Any] = json.loads(container.stdin)
    return request


def step_of(container: FakeContainer) -> str:
    return container.spec.labels[labels.STEP]


def output_of(container: FakeContainer) -> Path:
    """Where the host sees the main output."""
    return container.host(next(iter(request_of(container)["outputs"].values())))


def say(container: FakeContainer) -> int:
    """Writes its text and the seed, after what it was given as a file."""
    request = request_of(container)
    given = request["inputs"]["file"]
    before = container.host(given).read_text() if given else ""
    seed, text = request["options"]["seed"], request["inputs"]["text"]
    output_of(container).write_text(f"{before}{text} {seed}\n")
    return 0


def tell(container: FakeContainer, **event: Any) -> None:
    """Append an event, as cvl_inside does."""
    with container.host("/cvl/control/events.jsonl").open("a") as stream:
        stream.write(json.dumps(event) + "\n")


def end_with(container: FakeContainer, exit_code: int, **result: Any) -> int:
    """Write a result, as cvl_inside does, and end."""
    container.host("/cvl/control/result.json").write_text(json.dumps(result))
    return exit_code
