"""Transfer from MNIST to 8x8 digits, with 10 to 500 labels."""
