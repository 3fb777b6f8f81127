"""Use cases: the only layer that joins the pure core with what touches the machine."""
