"""The main job, end to end: a ResNet-20 teaches a small AlexNet-style student."""
