"""A trained model: its checkpoint, what it supports, its codes, samples and metrics."""
