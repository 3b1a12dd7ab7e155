"""Error against compression on MNIST: pruning from 1x to 200x by several methods."""
