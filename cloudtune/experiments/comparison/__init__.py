"""Compares experiments: what is best so far, aggregated over repetitions, as numbers and as figures."""
