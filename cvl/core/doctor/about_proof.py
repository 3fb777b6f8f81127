"""The proof: a container that was run."""

from __future__ import annotations

from collections.abc import Iterator

from cvl.core.doctor.facts import MachineFacts
from cvl.core.doctor.finding import Finding


def about_proof(facts: MachineFacts) -> Iterator[Finding]:
    """Did a container do what cvl's containers do?"""
    proof = facts.proof
    if facts.engine.problem is not None:
        return
    if proof is None:
        text = "no container was tried: no image of cvl's is here, or you asked for none"
        yield Finding("engine", "info", "proof_none", text, "build one:", ("cvl run tts build",))
        return
    if proof.problem is not None:
        text = f"a container of {proof.image} failed: {proof.problem.message}"
        yield Finding("engine", "error", "proof_failed", text, proof.problem.hint)
        return
    text = f"a container of {proof.image} ran, hardened, and wrote a file of yours"
    yield Finding("engine", "ok", "proof", f"{text} ({proof.seconds:.1f} s)")
    if not proof.gpus:
        return
    if proof.seen_gpus < proof.gpus:
        text = "the container that was tried could not use the GPU"
        text += f": {proof.gpu_problem}" if proof.gpu_problem else " that it was given"
        remedy = "see what is said of the driver and the toolkit"
        yield Finding("gpu", "error", "proof_gpu_failed", text, remedy)
        return
    text = f"the container that was tried could use its GPU (CUDA {proof.driver_cuda} at most)"
    yield Finding("gpu", "ok", "proof_gpu", text)
