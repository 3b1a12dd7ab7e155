"""Channels removed from ResNet-20, ResNet-56 and VGG-16: 2.1 and 2.55x fewer MACs."""
