"""Shoal beside its peers, measured in one run on the same cores (`python -m benchmarks.run`)."""
