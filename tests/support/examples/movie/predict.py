import os
from pathlib import Path

from cvl_inside import Predictor, run

CONTENT = {"text": "this is text", "html": "<!DOCTYPE html><p>not found", "empty": ""}


class Movie(Predictor):
    def predict(self, ctx, *, act):
        if act in CONTENT:
            Path(ctx.output("video")).write_text(CONTENT[act])
        os._exit(0)


if __name__ == "__main__":
    run(Movie)
