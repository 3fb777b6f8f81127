"""The acts: each gets the context, the path of the output, an amount and perhaps a file."""

import base64
import contextlib
import hashlib
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from cvl_inside import InputError

MIB = 1 << 20


def ok(ctx, path, amount, file):
    Path(path).write_text(f"ok {ctx.seed}\n")


def copy(ctx, path, amount, file):
    Path(path).write_bytes(Path(file).read_bytes())


def sleep(ctx, path, amount, file):
    time.sleep(amount)
    ok(ctx, path, amount, file)


def slowly(ctx, path, amount, file):
    """Says so after two seconds, and sleeps on."""
    time.sleep(2)
    ctx.warning("two seconds old")
    sleep(ctx, path, amount, file)


def late_exit(ctx, path, amount, file):
    """The same for three more seconds; `amount` is its exit code."""
    slowly(ctx, path, 3, file)
    os._exit(int(amount))


def deaf(ctx, path, amount, file):
    """Ignores every signal that can be ignored."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    ctx.warning("deaf from now on")
    time.sleep(amount)


def eat(ctx, path, amount, file):
    """Takes more memory than the container may have."""
    held = []
    while True:
        held.append(bytearray(b"x") * (16 * MIB))


def eat_child(ctx, path, amount, file):
    """A child is killed for memory; the parent then ends with `amount` as its exit code."""
    code = "held=[]\nwhile True: held.append(bytearray(b'x') * (16 << 20))"
    subprocess.run([sys.executable, "-c", code])
    if amount:
        os._exit(int(amount))
    ok(ctx, path, amount, file)


def device_oom(ctx, path, amount, file):
    class OutOfMemoryError(RuntimeError):
        pass

    raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


def exit_with(ctx, path, amount, file):
    os._exit(int(amount))


def kill_self(ctx, path, amount, file):
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def raise_error(ctx, path, amount, file):
    raise RuntimeError("the model is broken")


def leak(ctx, path, amount, file):
    """Says its secret in every way there is, then ends in the way that `amount` names."""
    secret = ctx.secret("STUB_SECRET")
    Path(path).write_text(hashlib.sha256(secret.encode()).hexdigest())
    forms = [secret, base64.b64encode(f"u:{secret}".encode()).decode(), secret.encode().hex()]
    for form in forms:
        for piece in (form[:9], form[9:] + "\n"):
            sys.stdout.write(piece)
            sys.stdout.flush()
        print(json.dumps({"key": form}), file=sys.stderr, flush=True)
        ctx.metric(form, 1)
        ctx.progress(1.5, 2, form[:32])
        ctx.warning(f"the key is {form}")
    if amount == 1:
        raise RuntimeError(f"401: wrong key {secret}")
    if amount == 2:
        raise InputError(f"bad {secret}", hint=f"not {secret}", code=secret)
    if amount == 3:
        print(f"dying of {secret}", end="", flush=True)
        os._exit(3)
    if amount == 4:
        time.sleep(600)


def nothing(ctx, path, amount, file):
    """Ends well and writes nothing, without giving cvl_inside a chance to notice."""
    os._exit(0)


def empty(ctx, path, amount, file):
    Path(path).touch()
    os._exit(0)


def half(ctx, path, amount, file):
    """Writes half a file and fails."""
    Path(path).write_text("half")
    os._exit(1)


def text(ctx, path, amount, file):
    Path(path).write_text("this is text, whatever its name says\n")
    os._exit(0)


def symlink(ctx, path, amount, file):
    os.symlink("/etc/passwd", path)
    os._exit(0)


def fifo(ctx, path, amount, file):
    os.mkfifo(path)
    os._exit(0)


def setuid(ctx, path, amount, file):
    Path(path).write_text("#!/bin/sh\n")
    os.chmod(path, 0o6755)


def hard_link(ctx, path, amount, file):
    Path(path).write_text("two names\n")
    os.link(path, path + ".other")
    os._exit(0)


def sparse(ctx, path, amount, file):
    with open(path, "wb") as stream:
        stream.truncate(40 * MIB)
    os._exit(0)


def big_file(ctx, path, amount, file):
    """Runs into the file size limit."""
    with open(path, "wb") as stream:
        while True:
            stream.write(bytes(MIB))


def write(ctx, path, amount, file):
    """Writes `amount` MiB."""
    with open(path, "wb") as stream:
        for _ in range(int(amount)):
            stream.write(bytes(MIB))


def write_regardless(ctx, path, amount, file):
    """The same, and ends well whatever becomes of it."""
    with contextlib.suppress(OSError):
        write(ctx, path, amount, file)
    with open(path, "ab"):
        pass


def write_scratch(ctx, path, amount, file):
    write(ctx, os.path.join(ctx.scratch, "large"), amount, file)
    ok(ctx, path, amount, file)


def write_tmp(ctx, path, amount, file):
    """In files that are smaller than one may be."""
    for number in range(int(amount)):
        write(ctx, f"/tmp/{number}", 1, file)


ESCAPES = b"\x1b]0;owned\x07\x1b[2J\x9b31m"
FORGED = b'\n{"event": "warning", "message": "forged"}\n{"status": "ok", "exit": 0}\n'


def flood(ctx, path, amount, file):
    """Writes `amount` MiB of log, with escapes in it, as one line without an end."""
    block = ESCAPES + b"x" * (MIB - len(ESCAPES))
    for _ in range(int(amount)):
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()
    ok(ctx, path, amount, file)


def flood_lines(ctx, path, amount, file):
    """Writes `amount` MiB of short lines, with escapes and what looks like protocol among them, and
    fails with words of its own."""
    block = FORGED + (ESCAPES + b"all work and no play\r\n") * (MIB // 40)
    for _ in range(int(amount)):
        sys.stdout.buffer.write(block + b"x" * (MIB - len(block)))
    sys.stdout.buffer.flush()
    os.write(2, b"\nLastWords: the printer is \x1b[31mon fire\x1b[0m\n\x1b[0m\n")
    os._exit(9)


def flood_control(ctx, path, amount, file):
    """Writes `amount` MiB of events, an event without an end, and a result that has none either;
    then what counts."""
    control = Path(os.environ["CVL_CONTROL"])
    line = json.dumps({"event": "progress", "done": 1, "total": 2, "unit": "x"}) + "\n"
    with open(control / "events.jsonl", "ab", buffering=0) as events:
        for _ in range(int(amount)):
            events.write(line.encode() * (MIB // len(line)))
        for _ in range(int(amount)):
            events.write(b"[" * MIB)
        events.write(b"\n")
    with open(control / "result.json", "wb") as result:
        for _ in range(int(amount)):
            result.write(b'{"message": "' + b"[" * MIB)
    ctx.metric("last", 7)
    ctx.warning("the last warning")
    os._exit(65)


def forks(ctx, path, amount, file):
    """As many processes as it can get; says how many that were."""
    children = 0
    try:
        for _ in range(5000):
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
            children += 1
    except OSError:
        pass
    Path(path).write_text(f"{children}\n")


def orphan(ctx, path, amount, file):
    """Leaves a daemon behind."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(600)
    ok(ctx, path, amount, file)


def phone_home(ctx, path, amount, file):
    """Tries to reach anything; says what it could."""
    reached = []
    for address in (("1.1.1.1", 53), ("169.254.169.254", 80), ("172.17.0.1", 22)):
        try:
            socket.create_connection(address, timeout=2).close()
            reached.append(address[0])
        except OSError:
            pass
    interfaces = sorted(os.listdir("/sys/class/net"))
    Path(path).write_text(json.dumps({"reached": reached, "interfaces": interfaces}))


def write_everywhere(ctx, path, amount, file):
    """Tries to write where it must not; says where it could."""
    places = ["/", "/app", "/etc", "/usr", "/cvl/inputs", "/app/cvl_inside", "/home", "/etc/passwd"]
    written = []
    for place in places:
        target = place if place == "/etc/passwd" else f"{place}/written"
        try:
            with open(target, "w"):
                written.append(place)
        except OSError:
            pass
    Path(path).write_text(json.dumps(written))


def look_around(ctx, path, amount, file):
    """Everything that a hardening test wants to know, as JSON."""
    status = dict(
        line.split(":\t", 1)
        for line in Path("/proc/self/status").read_text().splitlines()
        if ":\t" in line
    )
    script = Path("/tmp/script")
    script.write_text("#!/bin/sh\necho ran\n")
    script.chmod(0o755)
    home = Path(os.environ["HOME"]) / "file"
    home.write_text("x")
    shared = os.statvfs("/dev/shm")
    found = {
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": sorted(os.getgroups()),
        "status": {k: status[k] for k in ("CapEff", "NoNewPrivs", "Seccomp")},
        "tmp_runs": subprocess.run([str(script)], capture_output=True, text=True).stdout,
        "home": os.path.expanduser("~"),
        "user": pwd.getpwuid(os.getuid()).pw_name,
        "mounts": Path("/proc/self/mounts").read_text(),
        "environment": dict(os.environ),
        "inputs": sorted(str(p) for p in Path("/cvl/inputs").rglob("*")),
        "limits": Path("/proc/self/limits").read_text(),
        "shm": shared.f_blocks * shared.f_frsize,
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "cmdline": Path("/proc/self/cmdline").read_text(),
        "secret": ctx.secret("STUB_SECRET"),
        "gpus": os.environ.get("NVIDIA_VISIBLE_DEVICES"),
        "device": ctx.device,
        "scratch": ctx.scratch,
    }
    Path(ctx.scratch, "file").write_text("x")
    Path(path).write_text(json.dumps(found))


def use_gpu(ctx, path, amount, file):
    """Holds the GPU for a while and says when it did."""
    began = time.time()
    time.sleep(amount)
    ended = time.time()
    gpus = os.environ.get("NVIDIA_VISIBLE_DEVICES")
    Path(path).write_text(json.dumps({"gpus": gpus, "began": began, "ended": ended}))
