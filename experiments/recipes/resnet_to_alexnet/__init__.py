"""A ResNet-56 teaches AlexNet-style students: all methods, all sizes, on CIFAR-10."""
