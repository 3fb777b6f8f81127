"""Checkpoints of random weights, small and in the layout of the real repositories, by their names.

Stand-alone: torch, diffusers, transformers and what these need, so that it also runs where an
example runs. `families` says what there is, `calls` how to call it; both load no torch.
"""
