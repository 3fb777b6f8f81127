"""The output itself is the trap, or something in it is where it is a folder."""

import json
import os
import socket
import tempfile
from pathlib import Path

from cvl_inside import Predictor, run

GOOD = "good\n"


def symlink(place, canary):
    place.symlink_to(canary)


def folder_link(place, canary):
    place.symlink_to(Path(canary).parent)


def fifo(place, canary):
    os.mkfifo(place)


def unix_socket(place, canary):
    os.chdir(place.parent)
    socket.socket(socket.AF_UNIX).bind(place.name)


def hard_link(place, canary):
    place.write_text(GOOD)
    os.link(place, "/cvl/out/another")


def sparse(place, canary):
    with place.open("wb") as stream:
        stream.truncate(40 << 20)


def device(place, canary):
    """1, 3 is /dev/null."""
    try:
        os.mknod(place, 0o20666, os.makedev(1, 3))
    except PermissionError:
        place.write_text("refused\n")


def terabyte(place, canary):
    try:
        with place.open("wb") as stream:
            stream.truncate(1 << 40)
    except OSError:
        place.write_text("refused\n")


def odd_modes(place, canary):
    """Set-uid, set-gid and sticky."""
    place.write_text(GOOD)
    place.chmod(0o7777)
    place.parent.chmod(0o7777)


def attributes(place, canary):
    place.write_text(GOOD)
    os.setxattr(place, "user.note", b"from the container")


def unreadable(place, canary):
    place.write_text(GOOD)
    place.chmod(0)


def case_clash(place, canary):
    place.with_name("A.txt").write_text(GOOD)
    place.with_name("a.TXT").write_text(GOOD)


def accent_clash(place, canary):
    place.with_name("caf\u00e9").mkdir()
    place.with_name("cafe\u0301").write_text(GOOD)


def not_utf8(place, canary):
    with open(os.fsencode(place) + b"\xff", "w") as stream:
        stream.write(GOOD)


def deep(place, canary):
    """Deeper than any path can say."""
    os.chdir(place.parent)
    for _ in range(1500):
        os.mkdir("deeper")
        os.chdir("deeper")


def many(place, canary):
    for number in range(100_000):
        os.close(os.open(f"{place}{number}", os.O_WRONLY | os.O_CREAT))


def litter(place, canary):
    """A good output; everything else that a container may write to is full of traps."""
    place.write_text(GOOD)
    for folder in ("/cvl/scratch", "/cvl/out", "/cvl/control", "/cvl/jit"):
        here = Path(tempfile.mkdtemp(dir=folder))
        for trap in (symlink, folder_link, fifo, unix_socket, case_clash, not_utf8, unreadable):
            trap(here / trap.__name__, canary)
        locked = here / "locked"
        (locked / "in").mkdir(parents=True)
        (locked / "in").chmod(0)
        locked.chmod(0)


def liar(place, canary):
    """Says that its outputs are elsewhere, and that its notes are."""
    place.write_text(GOOD)
    up = "../" * 20 + canary.lstrip("/")
    outputs = {"result": canary, "folder": up, "../../x": up, "": canary, up: "."}
    document = {"status": "ok", "exit": 0, "outputs": outputs, "dtype": up, "log": canary}
    Path("/cvl/control/result.json").write_text(json.dumps(document))
    with open("/cvl/control/events.jsonl", "a") as stream:
        for event in ("preview", "progress", "metric", "warning"):
            stream.write(json.dumps({"event": event, "file": up, "name": canary}) + "\n")


def control_links(place, canary):
    """The files that cvl reads while and after a step runs are links by then."""
    place.write_text(GOOD)
    for name in ("result.json", "events.jsonl"):
        path = Path("/cvl/control", name)
        path.unlink(missing_ok=True)
        path.symlink_to(canary)


def swapper(place, canary):
    """A process that is left behind swaps the output for a link and back, without end."""
    place.write_text(GOOD)
    here, there = place.with_name("here"), place.with_name("there")
    if os.fork() == 0:
        os.setsid()
        while True:
            there.symlink_to(canary)
            there.rename(place)
            here.write_text(GOOD)
            here.rename(place)


class Trap(Predictor):
    def predict(self, ctx, *, act, canary):
        if ctx.wants("result"):
            place = Path(ctx.output("result"))
        else:
            folder = Path(ctx.output("folder"))
            folder.mkdir()
            (folder / "plain").write_text("plain\n")
            place = folder / "trap"
        globals()[act](place, canary)
        os._exit(0)  # before cvl_inside looks at the outputs: it is on the trap's side of the wall


if __name__ == "__main__":
    run(Trap)
