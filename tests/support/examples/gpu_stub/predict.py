import json
import os
import time
from pathlib import Path

from cvl_inside import Predictor, run


class Gpu(Predictor):
    def predict(self, ctx, *, seconds):
        began = time.time()
        time.sleep(seconds)
        devices = os.environ.get("NVIDIA_VISIBLE_DEVICES")
        found = {"devices": devices, "device": ctx.device, "began": began, "ended": time.time()}
        Path(ctx.output("result")).write_text(json.dumps(found))
        return {"result": ctx.output("result")}


if __name__ == "__main__":
    run(Gpu)
