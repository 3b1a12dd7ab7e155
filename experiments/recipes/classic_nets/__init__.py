"""The nets of the catalogue, LeNet to ResNet, by one training on CIFAR-10."""
