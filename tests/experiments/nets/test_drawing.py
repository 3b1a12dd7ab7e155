"""Drawings: what is folded, where boxes stand, what the picture says."""

import re
from itertools import pairwise

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import architectures
from compression.measure import layer_calls
from experiments.nets import drawing as net_drawing
from experiments.nets import layout as net_layout
from experiments.nets.boxes import boxes, in_words, kind_of


def residual():
    image = keras.Input((8, 8, 4), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="conv1")(image)
    x = layers.BatchNormalization(name="bn1")(x)
    x = layers.ReLU(name="relu1")(x)
    y = layers.ZeroPadding2D(1, name="pad")(x)
    y = layers.Conv2D(4, 3, name="conv2")(y)
    y = layers.BatchNormalization(name="bn2")(y)
    y = layers.Add(name="add")([y, x])
    return keras.Model(image, layers.ReLU(name="out")(y), name="residual")


def test_folding_keeps_what_others_use_apart():
    folded = boxes(layer_calls(residual()), fold=True)
    assert [(box.name, box.words, box.inputs) for box in folded] == [
        ("image", ("input",), ()),
        ("conv1", ("conv 3x3", "bn", "relu"), (0,)),
        ("conv2", ("pad", "conv 3x3", "bn"), (1,)),
        ("add", ("add", "relu"), (2, 1)),
    ]
    image = keras.Input((8, 8, 4), name="image")
    conv = layers.Conv2D(4, 3, padding="same", name="conv")(image)
    norm = layers.BatchNormalization(name="bn")(conv)
    fork = keras.Model(image, layers.Add(name="add")([norm, conv]))
    assert [box.name for box in boxes(layer_calls(fork), fold=True)] == (
        ["image", "conv", "bn", "add"]  # conv goes into two
    )


def test_small_nets_are_drawn_whole_and_large_ones_folded():
    assert len(boxes(layer_calls(residual()))) == 9
    calls = layer_calls(architectures.build("resnet20"))
    assert len(calls) == 73
    # image, 19 convolutions, 2 shortcuts, 9 sums, pooling, logits.
    assert len(boxes(calls)) == 1 + 19 + 2 + 9 + 1 + 1
    assert len(boxes(calls, fold=False)) == 73


@pytest.mark.parametrize(
    ("layer", "kind", "words"),
    [
        (layers.Conv2D(4, (1, 7), strides=(1, 2)), "convolution", "conv 1x7 /1x2"),
        (layers.Conv2D(4, 3, groups=2), "convolution", "conv 3x3 in 2 groups"),
        (layers.Conv2D(4, 3, activation="relu"), "convolution", "conv 3x3 + relu"),
        (layers.DepthwiseConv2D(3, 2), "convolution", "depthwise conv 3x3 /2"),
        (layers.Conv2DTranspose(4, 3), "convolution", "transposed conv 3x3"),
        (layers.Dense(4, activation="softmax"), "dense", "dense + softmax"),
        (layers.AveragePooling2D(5, strides=3), "pooling", "average pool 5x5 /3"),
        (layers.GlobalAveragePooling2D(), "pooling", "global average pool"),
        (layers.Dropout(0.25), "other", "dropout 0.25"),
        (layers.Activation("tanh"), "activation", "tanh"),
        (layers.Concatenate(), "join", "concatenate"),
        (layers.LayerNormalization(), "normalisation", "layernormalization"),
    ],
)
def test_a_layer_in_words(layer, kind, words):
    assert (kind_of(layer), in_words(layer)) == (kind, words)


def layout_of(name, **options):
    drawn = boxes(layer_calls(architectures.build(name, **options)))
    inputs = [box.inputs for box in drawn]
    widths = [1.0 + 0.05 * (i % 7) for i in range(len(drawn))]
    return drawn, inputs, widths, net_layout.place(inputs, widths)


NETS = [
    ("alexnet_small", {"width": 0.1}),
    ("resnet20", {}),
    ("resnet56", {"convolution": "separable", "shortcut": "B"}),
    ("googlenet", {"input_shape": (96, 96, 3), "auxiliary": True}),
]


@pytest.mark.parametrize(("name", "options"), NETS)
@pytest.mark.slow
def test_boxes_do_not_overlap_and_lines_miss_them(name, options):
    _, _, widths, layout = layout_of(name, **options)
    centres, tall = np.array(layout.centres), net_layout.BOX_HEIGHT
    for i, (x, y) in enumerate(centres):
        room = (np.array(widths) + widths[i]) / 2
        near = (abs(centres[:, 1] - y) < tall) & (abs(centres[:, 0] - x) < room - 1e-9)
        assert near.sum() == 1  # itself
        assert x - widths[i] / 2 >= -1e-9 and x + widths[i] / 2 <= layout.width + 1e-9
    for points in layout.lines:  # where a line passes a rank it is upright
        for (x, top), (to_x, bottom) in pairwise(points[1:-1]):
            if bottom - top == pytest.approx(tall):
                level = abs(centres[:, 1] - (top + bottom) / 2) < tall / 2
                assert x == pytest.approx(to_x)
                assert not (
                    level & (abs(centres[:, 0] - x) < np.array(widths) / 2)
                ).any()


@pytest.mark.parametrize(("name", "options"), NETS)
def test_every_connection_has_a_line_and_goes_down(name, options):
    _, inputs, _, layout = layout_of(name, **options)
    assert len(layout.lines) == sum(map(len, inputs))
    for points in layout.lines:
        heights = [y for _, y in points]
        assert heights == sorted(heights) and heights[0] < heights[-1]
    assert len(layout.wraps) == len(layout.ports)


def test_the_main_path_of_a_residual_net_is_straight():
    drawn, _, _, layout = layout_of("resnet20")
    sums = [
        c[0] for b, c in zip(drawn, layout.centres, strict=True) if b.kind == "join"
    ]
    assert len(sums) == 9
    assert len({round(x, 6) for x in sums}) == len(layout.wraps) + 1  # one a column


def test_a_graph_without_a_waist_stays_in_one_column():
    """Two chains side by side: nowhere does all come from one box."""
    inputs = [(), ()] + [(i - 2,) for i in range(2, 60)] + [(58, 59)]
    layout = net_layout.place(inputs, [1.0] * 61)
    assert layout.ports == []
    assert len({round(x, 3) for x, _ in layout.centres[:60]}) == 2


def test_a_drawing_shows_names_and_kinds(tmp_path, monkeypatch):
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")
    net_drawing.draw(residual(), tmp_path / "net.svg")
    texts = re.findall(r">([^<>]+)</text>", (tmp_path / "net.svg").read_text())
    assert texts.count("conv1") == texts.count("add") == 1
    assert "conv 3x3   8×8×4" in texts
    for kind in ("input", "convolution", "normalisation", "activation", "join"):
        assert kind in texts
    assert "dense" not in texts


def test_the_same_net_gives_the_same_file(tmp_path):
    for name in ("a", "b"):
        net_drawing.draw(residual(), tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_text() == (tmp_path / "b.svg").read_text()


def test_a_picture_is_coloured_by_kind(tmp_path):
    net_drawing.draw(residual(), tmp_path / "net.png")
    pixels = np.asarray(Image.open(tmp_path / "net.png").convert("RGB"))
    for kind in ("convolution", "normalisation", "join"):
        colour = tuple(bytes.fromhex(net_drawing.COLOURS[kind][1:]))
        assert (pixels == colour).all(-1).sum() > 50


def test_refuses_a_file_that_is_no_picture(tmp_path):
    with pytest.raises(ValueError, match=r"is a .png or .svg file, got .*net.gif"):
        net_drawing.draw(residual(), tmp_path / "net.gif")
