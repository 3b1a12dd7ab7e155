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
AWARE = {
    "qat8": "int8, trained with its rounding",
    "qat4": "4-bit weights, trained with their rounding",
}
# Files of the net that was not quantized, by precision.
FILES = {"float32": "float32", "float16": "float16 weights", "dynamic": "dynamic int8"}
