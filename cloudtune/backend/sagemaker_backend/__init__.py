"""Trials as SageMaker training jobs."""
