"""Each mode above the one that does runs out of memory in a way of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from cvl_inside import Predictor, run

MODES = ("none", "model", "fp8", "tiles", "disk")
EAT = "held=[]\nwhile True: held.append(bytearray(b'x') * (16 << 20))"


class OutOfMemoryError(RuntimeError):
    pass


class Ladder(Predictor):
    def predict(self, ctx, *, enough, text):
        if MODES.index(ctx.offload) < MODES.index(enough):
            self.run_out(ctx)
        path = Path(ctx.output("result"))
        path.write_text(json.dumps({"offload": ctx.offload, "scratch": os.listdir(ctx.scratch)}))
        return {"result": str(path)}

    def run_out(self, ctx):
        Path(ctx.scratch, "left").write_text(ctx.offload)
        if ctx.offload == "none":
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        if ctx.offload == "model":
            exec(EAT)
        if ctx.offload == "fp8":
            subprocess.run([sys.executable, "-c", EAT])
            os._exit(3)
        raise MemoryError


if __name__ == "__main__":
    run(Ladder)
