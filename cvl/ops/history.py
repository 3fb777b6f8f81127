"""What a step ran with the last time, so that the next run can say why it runs at all."""

from __future__ import annotations

import contextlib
from typing import Any

from cvl.core.explain import changes
from cvl.core.plan import StepSpec, key_document
from cvl.errors import DiskFullError
from cvl.ops.session import Session


class History:
    """Compares a step about to run with its last run. Code is compared by context digest, and by
    image id for an image that was rebuilt from the same files."""

    def __init__(self, session: Session, spec: StepSpec, context: str, *, use_cache: bool) -> None:
        self._session = session
        self._step = f"{spec.example}.{spec.step}"
        self._shown = spec.step
        self._use_cache = use_cache and spec.cache != "never" and not spec.network
        self._document = key_document(spec, context, any_seed=not spec.seed_given)

    def reason(self, image: str) -> str:
        """Why the step runs, in a few words; with --explain, every field goes to the report."""
        before = self._session.results.remembered(self._step)
        if before is None:
            return "first run"
        found = changes(before, self._with(image))
        if self._session.explain:
            for change in found:
                self._session.report.message(f"{self._shown}: {change}")
        if found:
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            return f"{found[0]}{more}"
        return "its result is gone" if self._use_cache else "its result is not used"

    def remember(self, image: str) -> None:
        """The step ran: the next one is compared with this. On a full disk it is not: a reason is
        never worth a result."""
        with contextlib.suppress(DiskFullError):
            self._session.results.remember(self._step, self._with(image))

    def _with(self, image: str) -> dict[str, Any]:
        return {**self._document, "image": image}
