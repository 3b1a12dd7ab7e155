"""Distillation methods compared: a ResNet-56 teaches a small AlexNet-style student."""
