"""How much cloudtune costs: every figure is a ratio against a unit timed in the same run, on the same machine."""
