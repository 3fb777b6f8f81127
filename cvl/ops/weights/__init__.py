"""Weights on their way into a step: which are needed (`needs.py`), which files that means
(`resolving.py`), getting what is missing (`pulling.py`)."""
