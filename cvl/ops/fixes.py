"""What `cvl doctor --fix` does: things of the user's own that cannot break anything. What needs
root, or belongs to others, is told as a command and never done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cvl.core.doctor.finding import Finding, Fix
from cvl.errors import CvlError
from cvl.ops.doctor import cvl_folders
from cvl.ops.reap import reap
from cvl.ops.session import Session
from cvl.store.dirs import PRIVATE, make_private


@dataclass(frozen=True)
class Repair:
    """One fix: what it will do. done: it has; problem: why it could not."""

    fix: Fix
    what: str
    done: bool = False
    problem: str = ""


def repairs_for(findings: Iterable[Finding], session: Session) -> list[Repair]:
    """One repair for each fix that findings name, in their order."""
    fixes = dict.fromkeys(finding.fix for finding in findings if finding.fix)
    return [Repair(fix, _what(fix, session)) for fix in fixes]


def _what(fix: Fix, session: Session) -> str:
    shown = " and ".join(str(path) for path in cvl_folders(session.dirs).values())
    return {
        "create_folders": f"create {shown}, for you alone",
        "make_private": f"chmod 700 {shown}",
        "reap": "remove what dead runs left: their containers and work folders",
    }[fix]


def repair(session: Session, planned: Repair) -> Repair:
    """Do it; how it went."""
    try:
        _do(session, planned.fix)
    except CvlError as error:
        return replace(planned, problem=error.message)
    except OSError as error:
        return replace(planned, problem=error.strerror or str(error))
    return replace(planned, done=True)


def _do(session: Session, fix: Fix) -> None:
    if fix == "reap":
        reap(session)
        return
    for path in cvl_folders(session.dirs).values():
        if fix == "create_folders":
            make_private(path)
        elif path.is_dir():
            path.chmod(PRIVATE)
