"""Channels of zeros go from graphs that nobody thought of."""

import keras
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from keras import layers

from compression.pruning.channels.groups import couple
from tests.compression.pruning.channels.cutting import assert_zeros_can_go, some_go
from tests.compression.small_nets import shaken

SIDE, WIDTHS = 4, (2, 4, 6)
KINDS = (
    "conv", "grouped", "depthwise", "norm", "relu", "add", "multiply", "maximum",
    "concatenate", "excite", "again", "again", "again", "model", "dense", "prelu",
)  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 50),
        st.integers(0, 50),
        st.integers(0, 2),
    ),
    min_size=3,
    max_size=9,
)


class Maker:
    """Makes a net of a list of steps: what is done to which of the tensors so far."""

    def __init__(self):
        self.count, self.shared = 0, []

    def name(self, kind):
        self.count += 1
        return f"{kind}{self.count}"

    def conv(self, width, **options):
        name = self.name("conv")
        self.shared.append(
            layers.Conv2D(width, 3, padding="same", name=name, **options)
        )
        return self.shared[-1]

    def net(self, steps, inputs=1, heads=1):
        images = [keras.Input((SIDE, SIDE, 2), name=self.name("in")) for _ in range(2)]
        images = images[:inputs]
        pool = [self.conv(4)(image) for image in images]
        for kind, a, b, width in steps:
            pool.append(
                self.step(kind, pool[a % len(pool)], pool[b % len(pool)], width)
            )
        ends = []
        for first in range(heads):  # so that nothing that was made is left out
            flat = [layers.Flatten()(x) for x in pool[first::heads]]
            flat = layers.Concatenate()(flat) if len(flat) > 1 else flat[0]
            ends.append(layers.Dense(2, name=self.name("logits"))(flat))
        return keras.Model(images, ends)

    def step(self, kind, x, y, width):
        width = WIDTHS[width]
        if kind in ("add", "multiply", "maximum"):
            if x.shape[-1] != y.shape[-1]:
                y = self.conv(x.shape[-1])(y)
            return getattr(layers, kind.title())(name=self.name(kind))([x, y])
        if kind == "concatenate":
            return layers.Concatenate(name=self.name(kind))([x, y])
        if kind == "excite":
            weights = layers.GlobalAveragePooling2D(keepdims=True)(x)
            weights = layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(weights)
            return layers.Multiply(name=self.name(kind))([weights, x])
        if kind == "again":
            fitting = [s for s in self.shared if s.input.shape == x.shape]
            if fitting:
                return fitting[width % len(fitting)](x)
        if kind == "model":
            image = keras.Input(x.shape[1:], name=self.name("in"))
            z = self.conv(x.shape[-1])(layers.ReLU()(self.conv(width)(image)))
            z = layers.Add()([z, image])
            return keras.Model(image, z, name=self.name("model"))(x)
        layer = {
            "grouped": lambda: self.conv(width, groups=2),
            "depthwise": lambda: layers.DepthwiseConv2D(3, padding="same"),
            "norm": layers.BatchNormalization,
            "relu": layers.ReLU,
            "prelu": lambda: layers.PReLU(shared_axes=(1, 2)),
            "dense": lambda: layers.Dense(width, activation="tanh"),
        }.get(kind, lambda: self.conv(width))()
        layer.name = self.name(kind)
        made = layer(x)
        self.shared.append(layer)
        return made


# Not shrunk: a model takes long to make, and what fails is short enough to read.
@settings(
    max_examples=15,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(STEPS, st.integers(1, 2), st.integers(1, 2), st.integers(0, 100))
def test_zeros_can_go_from_any_graph(steps, inputs, heads, seed):
    model = shaken(Maker().net(steps, inputs, heads))
    assume(not some_go(couple(model), seed=seed).all())
    assert_zeros_can_go(model, seed=seed)
