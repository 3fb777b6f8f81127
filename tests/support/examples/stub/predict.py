from cvl_inside import Predictor, run


class Stub(Predictor):
    def predict(self, ctx, *, act, amount, file):
        ctx.progress(1, 2, "acts")
        path = ctx.output("result")
        with open(path, "w") as stream:
            stream.write(f"{act} {ctx.seed}\n")
        ctx.progress(2, 2, "acts")
        return {"result": path}


if __name__ == "__main__":
    run(Stub)
