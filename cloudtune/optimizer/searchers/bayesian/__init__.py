"""Bayesian optimisation with Gaussian processes (extra ``bo``). Importing this imports no torch: fitting does."""
