"""Weights that others published: PyTorch state dicts poured into our nets.

Two layouts are known: torchvision's (AlexNet, VGG, GoogLeNet, ResNet) and that of
https://github.com/akamaster/pytorch_resnet_cifar10 (CIFAR ResNets). CIFAR ResNets may
also have torchvision's names, as in
https://github.com/chenyaofo/pytorch-cifar-models,
https://github.com/HobbitLong/RepDistiller and
https://github.com/megvii-research/mdistiller, whose nets are ours with `shortcut="B"`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import layers

from architectures import state_dict, weight_files
from architectures.catalogue import CARDS
from architectures.download import default_cache, fetch

# What published weights expect of pixels from 0 to 1: (RGB - MEAN) / STD.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MOST_PROBLEMS = 20  # of those that a refusal lists; a wrong net has hundreds


def load_published_weights(
    model: keras.Model,
    path: str | Path | None = None,
    *,
    download: bool = False,
    cache: str | Path | None = None,
) -> None:
    """Loads published weights into `model`.

    Nothing is assigned unless every name, shape and value fits. The weights expect the
    pixels that they were trained on: RGB / 255, then minus (0.485, 0.456, 0.406), over
    (0.229, 0.224, 0.225); for `googlenet_bn`, minus 0.5, over 0.5.

    Args:
        model: `alexnet_owt`, `googlenet_bn`, a VGG (not the CIFAR form) or a ResNet of
            this package, with as many classes as the file has and an image size that
            leaves the first dense layer as it is published.
        path: a `.safetensors` file, or a `.pth`, `.pt` or `.th` one, which needs
            PyTorch. Weights may lie in a container, see `weight_files.CONTAINERS`.
        download: fetch the file that the catalogue names for `model.name` instead.
        cache: folder for fetched files; `~/.cache/limbeck` (or under
            `XDG_CACHE_HOME`) where it is left out.

    Raises:
        ValueError: the file cannot be read, does not fit, or has values that are not
            finite: the message names the file and lists what; there is no published
            file for this net; or both or neither of `path` and `download` are given.
        ImportError: the file needs PyTorch, which is not installed.
        OSError: the file is not there or cannot be fetched.
    """
    if (path is None) != download:
        raise ValueError("give the path of a file or download=True, one of the two")
    if download:
        address = CARDS[model.name].weights if model.name in CARDS else ""
        if not address:
            raise ValueError(f"no published weights are known for {model.name!r}")
        weight_files.pytorch(address)  # better now than after half a gigabyte
        path = fetch(address, default_cache() if cache is None else cache)
    path = weight_files.given_path(path)
    load_state_dict(model, weight_files.read(path), source=str(path))


def load_state_dict(
    model: keras.Model, state: Mapping[str, np.ndarray], *, source: str = "the state"
) -> None:
    """Loads arrays in a published layout into `model`.

    Args:
        model: as for `load_published_weights`.
        state: PyTorch's names and arrays; counters (`num_batches_tracked`) and
            prefixes that all names have (`state_dict.PREFIXES`) do not matter, nor do
            GoogLeNet's heads where the model has none.
        source: what a refusal calls the state.

    Raises:
        ValueError: a name is missing, too many or there twice, a shape differs, values
            are no finite floats or variances are negative, or the model is none that
            has a published layout. Nothing is loaded then.
    """
    found = state_dict.renamed(state, source)
    slots = _slots(model, found)
    found = {
        name: _plain(array, name, source)
        for name, array in found.items()
        if not name.endswith("num_batches_tracked")
        and (name in slots or not re.match(r"aux\d\.", name))
    }
    problems = [f"{name} is missing" for name in slots if name not in found]
    problems += [f"{name} has no place" for name in found if name not in slots]
    for name, slot in slots.items():
        if name in found and (wrong := slot.problem(found[name])):
            problems.append(f"{name} {wrong}")
    if problems:
        more = len(problems) - MOST_PROBLEMS
        listed = problems[:MOST_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
        raise ValueError(
            f"{source} does not fit {model.name!r}, nothing was loaded:\n  "
            + "\n  ".join(listed)
        )
    for name, slot in slots.items():
        slot.variable.assign(slot.ours(found[name]).astype(slot.dtype))


def _plain(array, name, source):
    try:
        return np.asarray(array)
    except Exception as error:  # whatever a foreign array raises
        raise ValueError(
            f"{source}, nothing was loaded: {name} is no plain array: {error}"
        ) from error


@dataclass(frozen=True)
class _Slot:
    """One of our variables, the shape PyTorch gives it, and how to turn it round."""

    variable: keras.Variable
    shape: tuple[int, ...]
    ours: Callable[[np.ndarray], np.ndarray] = lambda array: array
    variance: bool = False

    @property
    def dtype(self):
        return keras.backend.standardize_dtype(self.variable.dtype)

    def problem(self, array):
        """What is wrong with `array`, "" if it fits."""
        if array.shape != self.shape:
            return f"is {array.shape}, should be {self.shape}"
        return state_dict.problem(array, self.dtype, variance=self.variance)


def _slots(model, names=()):
    """PyTorch's name -> slot, for every weight of `model`, as `names` are spelt."""
    naming = _naming(model, names)
    slots = {}
    for layer in model.layers:
        if layer.weights:
            try:
                prefix = naming(layer.name)
            except KeyError as error:
                raise ValueError(
                    f"{model.name!r} has no published layout: {layer.name} is unknown"
                ) from error
            for suffix, slot in _layer_slots(model, layer):
                slots[f"{prefix}.{suffix}"] = slot
    return slots


def _layer_slots(model, layer):
    if isinstance(layer, layers.BatchNormalization):
        shape = tuple(layer.gamma.shape)
        yield "weight", _Slot(layer.gamma, shape)
        yield "bias", _Slot(layer.beta, shape)
        yield "running_mean", _Slot(layer.moving_mean, shape)
        yield "running_var", _Slot(layer.moving_variance, shape, variance=True)
        return
    if type(layer) is layers.Conv2D:  # a depthwise one has no published layout
        high, wide, inputs, outputs = layer.kernel.shape
        shape = (outputs, inputs, high, wide)
        yield "weight", _Slot(layer.kernel, shape, lambda w: w.transpose(2, 3, 1, 0))
    elif isinstance(layer, layers.Dense):
        inputs, outputs = layer.kernel.shape
        turn = _after_flatten(model, layer) or np.transpose
        yield "weight", _Slot(layer.kernel, (outputs, inputs), turn)
    else:
        raise ValueError(
            f"{model.name!r} has no published layout: {layer.name} is a "
            f"{type(layer).__name__}"
        )
    if layer.use_bias:
        yield "bias", _Slot(layer.bias, tuple(layer.bias.shape))


def _after_flatten(model, layer):
    """For a dense layer behind a map: PyTorch flattens by channel, Keras by row."""
    flatten = {"fc6": "flatten", "aux1_fc": "aux1_flatten", "aux2_fc": "aux2_flatten"}
    if layer.name not in flatten:
        return None
    high, wide, channels = model.get_layer(flatten[layer.name]).input.shape[1:]

    def turn(weight):
        maps = weight.reshape(len(weight), channels, high, wide)
        return maps.transpose(2, 3, 1, 0).reshape(-1, len(weight))

    return turn


def _naming(model, names):
    """The function from our layers' names to PyTorch's, by what the net looks like."""
    own = [layer.name for layer in model.layers]
    if "inception_3a" in own:
        return _googlenet_name
    if "stage4_block1_out" in own:
        return _resnet_name
    if "stage1_block1_out" in own:
        return _resnet_cifar_naming(names)
    if "fc6" in own:
        return _sequential_names(own).__getitem__
    raise ValueError(f"{model.name!r} has no published layout")


def _sequential_names(own):
    """AlexNet, VGG: `features.<i>`, `classifier.<i>`; i counts PyTorch's modules."""
    features = [n for n in own if re.fullmatch(r"(conv|bn|relu|pool)\d(_\d)?", n)]
    classifier = [n for n in own if re.fullmatch(r"(drop|fc|relu)[67]|logits", n)]
    features = [n for n in features if n not in classifier]
    return {name: f"features.{i}" for i, name in enumerate(features)} | {
        name: f"classifier.{i}" for i, name in enumerate(classifier)
    }


def _resnet_name(name, *, last="fc", shortcut="downsample"):
    if name == "logits":
        return last
    block = re.fullmatch(r"stage(\d)_block(\d+)_(.+)", name)
    if block is None:
        return name  # conv1, bn1
    part = {"shortcut_conv": f"{shortcut}.0", "shortcut_bn": f"{shortcut}.1"}
    stage, number, what = block.groups()
    return f"layer{stage}.{int(number) - 1}.{part.get(what, what)}"


def _resnet_cifar_naming(names):
    """Some have akamaster's names, some torchvision's: as `names` are spelt."""
    return partial(
        _resnet_name,
        last="fc" if "fc.weight" in names else "linear",
        shortcut="downsample"
        if any(".downsample." in name for name in names)
        else "shortcut",
    )


def _googlenet_name(name):
    whole = {
        "logits": "fc",
        "conv1": "conv1",
        "conv2_reduce": "conv2",
        "conv2": "conv3",
    }
    branches = {
        "1x1": "branch1",
        "3x3_reduce": "branch2.0",
        "3x3": "branch2.1",
        "5x5_reduce": "branch3.0",
        "5x5": "branch3.1",
        "pool_proj": "branch4.1",
    }
    heads = {"conv": "conv", "fc": "fc1", "logits": "fc2"}
    unit, kind = (name[:-3], "bn") if name.endswith("_bn") else (name, "conv")
    if module := re.fullmatch(r"inception_(\d\w)_(.+)", unit):
        return f"inception{module[1]}.{branches[module[2]]}.{kind}"
    if head := re.fullmatch(r"(aux\d)_(.+)", unit):
        prefix = f"{head[1]}.{heads[head[2]]}"
        return f"{prefix}.{kind}" if head[2] == "conv" else prefix
    return whole[unit] if unit == "logits" else f"{whole[unit]}.{kind}"
