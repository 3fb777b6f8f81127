"""A tiny predictor, as a program."""

from __future__ import annotations

PREDICT = """
import os, subprocess, sys, threading, time
from cvl_inside import InputError, Predictor, run

class OutOfMemoryError(RuntimeError):
    pass

class Scalar:
    # What NumPy and torch return for a number.
    def __float__(self):
        return 12.5

class Tiny(Predictor):
    def setup(self, ctx):
        print("loading")
        if ctx.secret("API_KEY") == "setup":
            raise RuntimeError("no weights")

    def predict(self, ctx, *, act, **options):
        path = ctx.output("result")
        if act == "input":
            raise InputError("no face", hint="show one", code="no_face")
        if act == "cuda":
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0)")
        if act == "mps":
            raise RuntimeError("MPS backend out of memory")
        if act == "memory":
            raise MemoryError
        if act == "fill":
            with open(path, "wb", buffering=0) as stream:
                while True:
                    stream.write(bytes(1 << 16))
        if act == "fill behind":
            try:
                self.predict(ctx, act="fill")
            except OSError as error:
                raise RuntimeError("cannot save") from error
        if act == "quote":
            raise RuntimeError("ffmpeg: av_interleaved_write_frame(): No space left on device")
        if act == "crash":
            raise ValueError("bad luck")
        if act == "forget":
            return {}
        if act == "elsewhere":
            return {"result": __file__}
        if act == "missing":
            return {"result": path}
        if act == "many":
            for number in range(2000):
                ctx.progress(number, 2000, "steps")
            ctx.progress(2000, 2000, "steps")
        if act == "talk":
            ctx.warning("it is late")
            ctx.metric("fps", Scalar())
            ctx.preview(b"jpeg")
            assert ctx.secret("API_KEY") and ctx.secret("OTHER") is None
        if act == "eat":
            bytearray(b"x") * (100 << 20)
            code = "bytearray(b'x') * (110 << 20)"
            subprocess.run([sys.executable, "-c", code], check=True)
        if act == "torch":
            import torch
        if act == "thread":
            threading.Thread(target=time.sleep, args=(600,)).start()
        if act == "size":
            assert options["size"] == 720, options
        if act == "proxy":
            assert os.environ["https_proxy"] == "http://ada:opensesame@proxy:1"
        if act == "wants":
            ctx.output("extra")
        with open(path, "w") as stream:
            stream.write("" if act == "empty" else options.get("text") or f"{ctx.seed} {ctx.dtype}")
        return {"result": path}

if __name__ == "__main__":
    run(Tiny)
"""
