"""cvl: run and chain generative-media models in containers, on the machine you own."""

__version__ = "0.1.0"
