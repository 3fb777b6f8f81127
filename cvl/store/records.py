"""Run records in SQLite: what ran, who owns it, what it left to clean."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from cvl.core.offload import Peak
from cvl.core.owner import Owner
from cvl.store.database import Database

RUNNING, OK, FAILED, CANCELLED, INTERRUPTED = "running", "ok", "failed", "cancelled", "interrupted"
_VERSIONS = (
    """
CREATE TABLE runs (
  id TEXT PRIMARY KEY, example TEXT NOT NULL, verb TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('running','ok','failed','cancelled','interrupted')),
  owner TEXT NOT NULL, started REAL NOT NULL, ended REAL, exit INTEGER,
  code TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
  outputs TEXT NOT NULL DEFAULT '{}');
CREATE TABLE scratch (run TEXT NOT NULL REFERENCES runs(id), path TEXT NOT NULL);
CREATE TABLE images (
  context TEXT NOT NULL, image TEXT NOT NULL, made REAL NOT NULL, PRIMARY KEY (context, image));
""",
    """
CREATE TABLE peaks (
  example TEXT NOT NULL, device TEXT NOT NULL, size INTEGER NOT NULL, mode TEXT NOT NULL,
  gpu INTEGER NOT NULL, container INTEGER NOT NULL,
  PRIMARY KEY (example, device, size, mode));
""",
    """
ALTER TABLE images ADD COLUMN used REAL NOT NULL DEFAULT 0;
UPDATE images SET used=made;
CREATE TABLE bases (reference TEXT PRIMARY KEY, image TEXT NOT NULL);
""",
)
"""What each version added to the one before it."""
VERSION = len(_VERSIONS)


@dataclass(frozen=True)
class RunRecord:
    """One run as it was last written down. Times are seconds since the epoch."""

    id: str
    example: str
    verb: str
    state: str
    owner: Owner
    started: float
    ended: float | None
    exit: int | None
    code: str
    message: str
    outputs: dict[str, str]


@dataclass(frozen=True)
class PeakKey:
    """What the memory that a mode takes depends on: an example, where it runs, and how large its
    inputs are."""

    example: str
    device: str
    size: int


class Records:
    """The run database of one CVL_HOME. Every write is one transaction. On a full disk everything
    can be read and a run can be ended, but none begun: nothing of it has happened yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = Database(path, _VERSIONS)

    def _ask(self, query: str, values: tuple[str | int, ...] = ()) -> list[Any]:
        """Rows of a query."""
        return self._database.insist(lambda db: db.execute(query, values).fetchall())

    def begin(self, run: str, example: str, verb: str, owner: Owner, scratch: list[Path]) -> None:
        """Write down the intent, before anything exists that a crash could leave behind.
        DiskFullError when there is no room for that, or none to write down the end."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            db.execute(
                "INSERT INTO runs (id, example, verb, state, owner, started) VALUES (?,?,?,?,?,?)",
                (run, example, verb, RUNNING, json.dumps(asdict(owner)), time.time()),
            )
            db.executemany(
                "INSERT INTO scratch (run, path) VALUES (?,?)",
                [(run, os.fsencode(p)) for p in scratch],
            )
            db.execute("COMMIT")

        self._database.reserve()
        self._database.work(write)

    def end(
        self, run: str, state: str, exit_code: int, code: str, message: str, outputs: dict[str, str]
    ) -> None:
        """A running run has ended; its scratch is gone. A run that ended already stays as it is."""
        message = message.encode(errors="replace").decode()

        def write(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            db.execute(
                "UPDATE runs SET state=?, ended=?, exit=?, code=?, message=?, outputs=?"
                " WHERE id=? AND state='running'",
                (state, time.time(), exit_code, code, message, json.dumps(outputs), run),
            )
            db.execute("DELETE FROM scratch WHERE run=?", (run,))
            db.execute("COMMIT")

        self._database.insist(write)

    def scratch(self, run: str) -> list[Path]:
        """Folders that a run meant to make and may have left."""
        rows = self._ask("SELECT path FROM scratch WHERE run=?", (run,))
        return [Path(os.fsdecode(row[0])) for row in rows]

    def runs(self, *, state: str = "", limit: int = 1000) -> list[RunRecord]:
        """Newest first; all states, or one."""
        if state:
            return self._select(" WHERE state=?", (state, limit))
        return self._select("", (limit,))

    def matching(self, prefix: str, limit: int = 10) -> list[RunRecord]:
        """Runs whose id begins with `prefix`, newest first."""
        return self._select(" WHERE substr(id,1,?)=?", (len(prefix), prefix, limit))

    def _select(self, where: str, values: tuple[str | int, ...]) -> list[RunRecord]:
        query = (
            "SELECT id, example, verb, state, owner, started, ended, exit, code, message, outputs"
            f" FROM runs{where} ORDER BY started DESC, id DESC LIMIT ?"
        )
        try:
            return [_record(row) for row in self._ask(query, values)]
        except (ValueError, TypeError) as error:
            raise self._database.damaged(f"a row of it cannot be read: {error}") from error

    def remember_image(
        self, context: str, image: str, *, base: str = "", base_id: str = ""
    ) -> None:
        """`image` was built from the context with this digest, and is used now. base: the reference
        of what it was built upon, which named `base_id` then."""
        now = time.time()

        def write(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            db.execute(
                "INSERT INTO images (context, image, made, used) VALUES (?,?,?,?)"
                " ON CONFLICT (context, image) DO UPDATE SET used=excluded.used",
                (context, image, now, now),
            )
            if base and base_id != base:
                db.execute("INSERT OR REPLACE INTO bases VALUES (?,?)", (base, base_id))
            db.execute("COMMIT")

        self._database.work(write)

    def base_of(self, reference: str) -> str:
        """What `reference` named when an image upon it was last used; empty when none was."""
        rows = self._ask("SELECT image FROM bases WHERE reference=?", (reference,))
        return rows[0][0] if rows else ""

    def images_used(self) -> dict[str, float]:
        """Image id -> when a build or a step last used it (epoch seconds); also of images that are
        gone."""
        return dict(self._ask("SELECT image, max(used) FROM images GROUP BY image"))

    def images_of(self, context: str) -> list[str]:
        """Image ids ever built from a context digest, last used first."""
        query = "SELECT image FROM images WHERE context=? ORDER BY used DESC"
        return [row[0] for row in self._ask(query, (context,))]

    def learn(self, key: PeakKey, mode: str, peak: Peak) -> None:
        """`mode` was seen to need this much; the newest counts, and None leaves what was known."""
        statement = (
            "INSERT INTO peaks VALUES (?,?,?,?,coalesce(?,0),coalesce(?,0))"
            " ON CONFLICT (example, device, size, mode) DO UPDATE"
            " SET gpu=coalesce(?,gpu), container=coalesce(?,container)"
        )
        values = (*astuple(key), mode, *(peak.gpu, peak.container) * 2)
        self._database.work(lambda db: db.execute(statement, values).close())

    def peaks(self, key: PeakKey) -> dict[str, Peak]:
        """Mode -> what it was last seen to need."""
        query = "SELECT mode, gpu, container FROM peaks WHERE example=? AND device=? AND size=?"
        return {mode: Peak(gpu, ram) for mode, gpu, ram in self._ask(query, astuple(key))}

    def forget_before(self, when: float) -> list[str]:
        """Delete the records of runs that ended before `when`; their ids."""

        def write(db: sqlite3.Connection) -> list[str]:
            db.execute("BEGIN IMMEDIATE")
            query = "SELECT id FROM runs WHERE state!='running' AND ended<?"
            rows = db.execute(query, (when,)).fetchall()
            db.executemany("DELETE FROM scratch WHERE run=?", rows)
            db.executemany("DELETE FROM runs WHERE id=?", rows)
            db.execute("COMMIT")
            return [row[0] for row in rows]

        return self._database.insist(write)


def _record(row: tuple[str, ...]) -> RunRecord:
    values = list(row)
    owner = Owner(**json.loads(values[4]))
    return RunRecord(
        id=values[0], example=values[1], verb=values[2], state=values[3], owner=owner,
        started=float(values[5]), ended=float(values[6]) if values[6] is not None else None,
        exit=int(values[7]) if values[7] is not None else None,
        code=values[8], message=values[9], outputs=json.loads(values[10]),
    )  # fmt: skip
