"""Training jobs: their records, and the executor that really runs them."""
