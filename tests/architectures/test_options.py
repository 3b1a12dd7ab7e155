"""Options of nets that are no options, or no values: refused by name."""

import inspect

import numpy as np
import pytest

import architectures
from architectures.catalogue import BUILDERS

WRONG = {
    "int": ("x", 3.5, True, None, (1,), float("nan")),
    "float": ("x", True, None, (1,), float("nan"), float("inf")),
    "bool": ("x", 1, None, ()),
    "str": (3, True, None, b"x"),
    "float | None": ("x", True, (1,)),
    "tuple[int, ...]": ("28", 28, None, (28.5, 28, 1), {28: 1}),
    "tuple[int, int, int]": ("224", 224, None, (True, 28, 3)),
    "collections.abc.Sequence[int]": (300, "300", None, (300, None), (0.5,)),
}
SMALL = (
    *("mlp", "lenet5", "lenet5_caffe", "alexnet", "alexnet_small", "zfnet_small"),
    *("vgg11_cifar", "googlenet_cifar", "googlenet", "resnet18", "resnet20"),
)


@pytest.mark.parametrize("net", SMALL)
def test_values_of_another_type_are_refused_by_name(net):
    for option, parameter in inspect.signature(BUILDERS[net]).parameters.items():
        hint = parameter.annotation
        hint = hint.__name__ if isinstance(hint, type) else str(hint)
        for value in WRONG[hint]:
            with pytest.raises(ValueError, match=f"^{net}: {option} must be .*, got "):
                architectures.build(net, **{option: value})


def test_a_misspelt_option_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"alexnet_small has no option 'widht' \(did yo"
    ):
        architectures.build("alexnet_small", widht=0.5)
    with pytest.raises(
        ValueError, match="lenet5_caffe has no option 'depth'; it takes"
    ):
        architectures.build("lenet5_caffe", depth=3)


def test_numbers_of_numpy_and_lists_are_taken():
    model = architectures.build(
        "mlp", widths=[np.int64(3)], classes=np.int32(2), dropout=np.float32(0.5)
    )
    assert model.count_params() == 784 * 3 + 3 + 3 * 2 + 2


@pytest.mark.parametrize("shape", [(), (28,), (27, 28, 1), (28, 65, 1), (28, None, 1)])
@pytest.mark.parametrize("net", ["alexnet_small", "zfnet_small"])
def test_small_nets_say_which_images_they_take(net, shape):
    with pytest.raises(ValueError, match=f"{net} takes images of 28 to 64 px a side"):
        architectures.build(net, input_shape=shape)


def test_padding_is_not_negative():
    with pytest.raises(ValueError, match="padding must not be negative, got -1"):
        architectures.build("alexnet", padding=-1)
