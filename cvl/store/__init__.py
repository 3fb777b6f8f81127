"""Touches disk: folders, locks, staging, atomic publish, results, run records."""
