"""The event log of an experiment, and what is derived from it."""
