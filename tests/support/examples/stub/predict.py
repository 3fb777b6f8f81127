"""Does what its name for an act says; most acts are what a hostile or broken model would do."""

import acts
from cvl_inside import Predictor, run


class Stub(Predictor):
    def predict(self, ctx, *, act, amount, file):
        ctx.progress(1, 2, "acts")
        path = ctx.output("result")
        getattr(acts, act)(ctx, path, amount, file)
        ctx.progress(2, 2, "acts")
        return {"result": path}


if __name__ == "__main__":
    run(Stub)
