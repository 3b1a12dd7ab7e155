"""What the recipe and its tables share: how far nets are cut, and what follows."""

# Name -> the fraction of the MACs that is left: 2.1 and 2.55 times fewer.
CUTS = {"2x1": 1 / 2.1, "2x55": 1 / 2.55}
METHODS = {
    "tuned": "tuned on labels",
    "taught": "taught by the whole net",
    "scratch": "same net from scratch",
}
NETS = {"resnet20": "ResNet-20", "resnet56": "ResNet-56", "vgg16": "VGG-16-bn"}
