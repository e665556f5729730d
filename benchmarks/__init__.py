"""Measure what docs/performance.md claims. Run as modules: `python -m benchmarks.NAME`."""
