"""How good the best of few evaluations is, on standard functions, against others' optimizers."""
