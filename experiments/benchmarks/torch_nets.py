"""The nets of the benchmarks, written in PyTorch. Needs the extra `parity`.

Modules have the names of our layers, so that `torch_peers.copy_weights` fits all nets.
"""

import torch
from torch import nn
from torch.nn import functional as F

from architectures.alexnet import POOLED, SMALL_KERNELS
from architectures.googlenet import INCEPTION
from architectures.vgg import PLANS


class Net(nn.Module):
    """Modules by the names of our layers."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleDict()

    def add_conv(self, name, channels_in, width, size, **options):
        options = {"padding": size // 2} | options
        self.parts[name] = nn.Conv2d(channels_in, width, size, **options)

    def add_norm(self, name, width, epsilon):
        self.parts[name] = nn.BatchNorm2d(width, eps=epsilon)


class ResNetCifar(Net):
    def __init__(self, channels, classes, *, depth):
        super().__init__()
        self.blocks = (depth - 2) // 6  # in each stage
        self._add("conv1", "bn1", channels, 16)
        channels_in = 16
        for name, width, stride in self._blocks():
            self._add(f"{name}_conv1", f"{name}_bn1", channels_in, width, stride=stride)
            self._add(f"{name}_conv2", f"{name}_bn2", width, width)
            channels_in = width
        self.parts["logits"] = nn.Linear(channels_in, classes)

    def _add(self, conv, norm, channels_in, width, **options):
        self.add_conv(conv, channels_in, width, 3, bias=False, **options)
        self.add_norm(norm, width, 1e-5)

    def _blocks(self):
        for stage, width in enumerate((16, 32, 64), start=1):
            for block in range(1, self.blocks + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                yield f"stage{stage}_block{block}", width, stride

    def forward(self, x):
        parts = self.parts
        x = F.relu(parts["bn1"](parts["conv1"](x)), inplace=True)
        for name, width, stride in self._blocks():
            y = parts[f"{name}_bn1"](parts[f"{name}_conv1"](x))
            y = parts[f"{name}_conv2"](F.relu(y, inplace=True))
            y = parts[f"{name}_bn2"](y)
            if stride == 2:
                quarter = width // 4
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
            x = F.relu(y + x, inplace=True)
        return parts["logits"](x.mean((2, 3)))


class VggCifar(Net):
    """With batch norm, one average and one dense layer; of any width."""

    def __init__(self, model, *, depth):
        super().__init__()
        self.repeats = PLANS[depth]
        channels_in = model.input_shape[-1]
        for name in self._names():
            width = model.get_layer(f"conv{name}").filters
            self.add_conv(f"conv{name}", channels_in, width, 3, bias=False)
            self.add_norm(f"bn{name}", width, model.get_layer(f"bn{name}").epsilon)
            channels_in = width
        self.parts["logits"] = nn.Linear(channels_in, model.output_shape[-1])

    def _names(self):
        for stage, repeats in enumerate(self.repeats, start=1):
            yield from (f"{stage}_{i}" for i in range(1, repeats + 1))

    def forward(self, x):
        for name in self._names():
            x = self.parts[f"bn{name}"](self.parts[f"conv{name}"](x))
            x = F.relu(x, inplace=True)
            stage, i = map(int, name.split("_"))
            if i == self.repeats[stage - 1]:
                x = F.max_pool2d(x, 2)
        return self.parts["logits"](x.mean((2, 3)))


class AlexNet(Net):
    """Of 2012 with `towers`: two groups, response normalisation, dropout behind."""

    def __init__(self, channels, classes, *, towers, flat):
        super().__init__()
        widths = (96, 256, 384, 384, 256) if towers else (64, 192, 384, 256, 256)
        groups = (1, 2, 1, 2, 2) if towers else (1,) * 5
        self.response = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
        self.towers = towers
        channels_in = channels
        for i, (width, size, group) in enumerate(
            zip(widths, (11, 5, 3, 3, 3), groups, strict=True), start=1
        ):
            first = {"stride": 4, "padding": 0 if towers else 2} if i == 1 else {}
            self.add_conv(f"conv{i}", channels_in, width, size, groups=group, **first)
            channels_in = width
        self.parts["fc6"] = nn.Linear(flat, 4096)
        self.parts["fc7"] = nn.Linear(4096, 4096)
        self.parts["logits"] = nn.Linear(4096, classes)

    def forward(self, x):
        for i in range(1, 6):
            x = F.relu(self.parts[f"conv{i}"](x), inplace=True)
            if self.towers and i <= 2:
                x = self.response(x)
            if i in (1, 2, 5):
                x = F.max_pool2d(x, 3, 2)
        x = x.flatten(1)  # dropout does nothing: this net is for inference
        x = F.relu(self.parts["fc6"](x), inplace=True)
        x = F.relu(self.parts["fc7"](x), inplace=True)
        return self.parts["logits"](x)


class AlexNetSmall(Net):
    """For small images, with batch norm, of any width; its `dropout` may be set."""

    def __init__(self, model):
        super().__init__()
        channels_in = model.input_shape[-1]
        for i, size in enumerate(SMALL_KERNELS, start=1):
            width = model.get_layer(f"conv{i}").filters
            self.add_conv(f"conv{i}", channels_in, width, size, bias=False)
            self.add_norm(f"bn{i}", width, model.get_layer(f"bn{i}").epsilon)
            channels_in = width
        for name in ("fc6", "fc7", "logits"):
            self.parts[name] = nn.Linear(*model.get_layer(name).kernel.shape)
        self.dropout = model.get_layer("drop6").rate

    def forward(self, x):
        parts = self.parts
        for i in range(1, 6):
            x = F.relu(parts[f"bn{i}"](parts[f"conv{i}"](x)), inplace=True)
            if i in POOLED:
                x = F.max_pool2d(x, 3, 2)
        x = x.flatten(1)
        for name in ("fc6", "fc7"):
            x = F.dropout(x, self.dropout, self.training)
            x = F.relu(parts[name](x), inplace=True)
        return parts["logits"](x)


class GoogLeNet(Net):
    """Of the paper, or with `batch_norm` as torchvision publishes it."""

    def __init__(self, channels, classes, *, batch_norm):
        super().__init__()
        self.batch_norm = batch_norm
        self.response = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)
        self._add("conv1", channels, 64, 7, stride=2)
        self._add("conv2_reduce", 64, 64, 1)
        self._add("conv2", 64, 192, 3)
        channels_in = 192
        for module, widths in INCEPTION.items():
            one, reduce_three, three, reduce_five, five, projection = widths
            name = f"inception_{module}"
            self._add(f"{name}_1x1", channels_in, one, 1)
            self._add(f"{name}_3x3_reduce", channels_in, reduce_three, 1)
            self._add(f"{name}_3x3", reduce_three, three, 3)
            self._add(f"{name}_5x5_reduce", channels_in, reduce_five, 1)
            self._add(f"{name}_5x5", reduce_five, five, 3 if batch_norm else 5)
            self._add(f"{name}_pool_proj", channels_in, projection, 1)
            channels_in = one + three + five + projection
        self.parts["logits"] = nn.Linear(channels_in, classes)

    def _add(self, name, channels_in, width, size, **options):
        self.add_conv(
            name, channels_in, width, size, bias=not self.batch_norm, **options
        )
        if self.batch_norm:
            self.add_norm(f"{name}_bn", width, 1e-3)

    def _unit(self, x, name):
        x = self.parts[name](x)
        if self.batch_norm:
            x = self.parts[f"{name}_bn"](x)
        return F.relu(x, inplace=True)

    def forward(self, x):
        paper = not self.batch_norm
        x = F.max_pool2d(self._unit(x, "conv1"), 3, 2, ceil_mode=True)
        x = self._unit(self.response(x) if paper else x, "conv2_reduce")
        x = self._unit(x, "conv2")
        x = self.response(x) if paper else x
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for module in INCEPTION:
            if module in ("4a", "5a"):
                size = 2 if module == "5a" and self.batch_norm else 3
                x = F.max_pool2d(x, size, 2, ceil_mode=True)
            name = f"inception_{module}"
            branches = [
                self._unit(x, f"{name}_1x1"),
                self._unit(self._unit(x, f"{name}_3x3_reduce"), f"{name}_3x3"),
                self._unit(self._unit(x, f"{name}_5x5_reduce"), f"{name}_5x5"),
                self._unit(F.max_pool2d(x, 3, 1, padding=1), f"{name}_pool_proj"),
            ]
            x = torch.cat(branches, 1)
        return self.parts["logits"](x.mean((2, 3)))
