"""Reproducible benchmarks: each prints the machine's own limit, measured in the same run, beside its figure.

Run `make bench`, or `python -m bench --help`. Timings never fail a test; what they mean and when they
were taken is in `docs/explanation/performance.md`.
"""
