"""A ResNet-20 teaches AlexNet-style students: all methods, all sizes, on MNIST."""
