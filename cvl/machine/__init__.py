"""Reads the machine: processes, memory, GPUs; and holds the leases on GPUs."""
