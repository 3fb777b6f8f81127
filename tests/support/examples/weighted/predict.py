"""Looks at its weights as a model would find them, or does to them what it should not."""

import hashlib
import json
import os
import time
from pathlib import Path

from cvl_inside import Predictor, run


def content(folder):
    files = (path for path in sorted(Path(folder).rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def tried(action):
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return "done"


class Weighted(Predictor):
    def predict(self, ctx, *, act):
        root = os.environ.get("HF_HUB_CACHE", "")
        seen = {"paths": ctx.weights, "files": content(root) if root else {}}
        seen["offline"] = [os.environ.get(n) for n in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")]
        if act == "spoil":
            seen["tried"] = self.spoil(Path(root))
        if act == "wait":
            time.sleep(120)
        out = ctx.output("seen")
        Path(out).write_text(json.dumps(seen))
        return {"seen": out}

    def spoil(self, root):
        one = next(path for path in sorted(root.rglob("*.safetensors")))
        return {
            "write": tried(lambda: one.write_bytes(b"other")),
            "append": tried(lambda: open(str(one), "ab").close()),
            "rename": tried(lambda: one.rename(one.with_name("other"))),
            "remove": tried(lambda: one.unlink()),
            "chmod": tried(lambda: one.chmod(0o777)),
            "link": tried(lambda: os.link(str(one), str(root / "link"))),
            "new": tried(lambda: (root / "new").write_bytes(b"new")),
            "refs": tried(lambda: next(root.rglob("refs/main")).write_text("0" * 40)),
        }


if __name__ == "__main__":
    run(Weighted)
