"""He et al. (2016): CIFAR ResNets from published weights, and one trained here."""
