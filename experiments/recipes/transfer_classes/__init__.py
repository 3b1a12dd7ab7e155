"""Transfer between halves of CIFAR-10: from five classes to the other five."""
