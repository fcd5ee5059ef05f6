"""The services that are ours: SageMaker's training jobs and what moto lacks or does otherwise than AWS."""
