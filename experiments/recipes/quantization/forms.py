"""What the recipe and its tables share: the nets, and the forms they are brought to."""

NETS = {
    "resnet20": "ResNet-20",
    "resnet56": "ResNet-56",
    "alexnet": "small AlexNet",
    "vgg16": "VGG-16-bn",
    "googlenet": "GoogLeNet",
    "mobilenet": "MobileNetV2",
}
CALIBRATIONS = {
    "minmax": "int8, min-max",
    "percentile": "int8, percentile",
    "mse": "int8, least squared error",
    "kl": "int8, KL divergence",
}
# Of nets that are hard to quantize without training, see `recipe.HARD`.
CORRECTED = {
    "equalised": "int8, equalised, biases corrected",
    "four": "4-bit weights, to the nearest",
    "adaround": "4-bit weights, rounding learnt (AdaRound)",
}
MIXED = {"mixed": "mixed 4 and 8 bits, half a point lost on validation"}
AWARE = {
    "qat8": "int8, trained with its rounding",
    "qat4": "4-bit weights, trained with their rounding",
}
# Files of the net that was not quantized, by precision.
FILES = {"float32": "float32", "float16": "float16 weights", "dynamic": "dynamic int8"}
