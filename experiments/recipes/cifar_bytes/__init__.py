"""Three CIFAR-10 nets in how few bytes: zipped, in integers, pruned, as archives."""
