"""The note that tables of CIFAR-10 carry; needs no Keras."""

LOSSY_COPY = (
    "Note: CIFAR-10 here is a lossy JPEG copy: accuracies are not comparable with "
    "published ones. Train 45,000, validation 5,000, test 10,000 images."
)
