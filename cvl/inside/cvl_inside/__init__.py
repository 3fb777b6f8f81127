"""What runs inside every cvl container: the predictor's contract, and nothing but the standard
library.

from cvl_inside import Predictor, run

class Echo(Predictor):
    def predict(self, ctx, *, text, **options):
        path = ctx.output("result")
        with open(path, "w") as stream:
            stream.write(text)
        return {"result": path}

if __name__ == "__main__":
    run(Echo)
"""

from .main import run
from .predictor import Context, InputError, Predictor
from .programs import ffmpeg

__all__ = ["Context", "InputError", "Predictor", "ffmpeg", "run"]
