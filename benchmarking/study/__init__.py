"""What the methods are worth: simulated experiments over recorded learning curves, many seeds, with intervals."""
