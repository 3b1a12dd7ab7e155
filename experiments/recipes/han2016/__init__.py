"""Bytes against error on MNIST: nets pruned, shared, rounded and entropy-coded."""
