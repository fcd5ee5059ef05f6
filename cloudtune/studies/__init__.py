"""Studies: many experiments - methods, benchmarks, seeds - planned as data, launched with one command, compared."""
