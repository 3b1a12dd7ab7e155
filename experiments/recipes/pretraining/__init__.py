"""Pretraining without labels on CIFAR-10, then few labels of five classes."""
