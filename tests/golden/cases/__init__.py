"""Case generators for the operation vectors, one module per group of operations."""
