"""MACs of attention and einsum: by hand, of the model and of both kinds of file."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from compression import export, measure
from compression.measure.products import einsum_macs

Q, V, E, F = 5, 7, 8, 6  # positions of queries and values, sizes of both
PROJECTED = Q * E * 8 + V * F * 8 + V * F * 12 + Q * 12 * E  # 2 heads of 4, values of 6
ATTENDED = Q * V * 8 + Q * V * 12


# Of queries (Q, E), keys (V, E) and values (V, F).
@pytest.mark.parametrize(
    ("made", "macs"),
    [
        (
            lambda q, k, v: layers.MultiHeadAttention(2, 4, value_dim=6)(q, v),
            PROJECTED + ATTENDED,
        ),
        (
            lambda q, k, v: layers.MultiHeadAttention(2, 4, 6)(q, value=v, key=k),
            PROJECTED + ATTENDED + V * (E - F) * 8,
        ),
        (
            lambda q, k, v: layers.MultiHeadAttention(2, 4, use_gate=True)(q, v),
            PROJECTED + ATTENDED - (V * F + Q * E + Q * V) * 4 + Q * E * 8,
        ),
        (  # 4 heads of queries share 2 of keys and values
            lambda q, k, v: layers.GroupQueryAttention(3, 4, 2)(q, k),
            2 * Q * E * 12 + 2 * V * E * 6 + 2 * Q * V * 12,
        ),
        (lambda q, k, v: layers.Attention()([q, k]), 2 * Q * V * E),
        (
            lambda q, k, v: layers.Attention(use_scale=True)([q, v, k]),
            Q * V * (E + F),
        ),
        (lambda q, k, v: layers.AdditiveAttention()([q, k]), Q * V * E),
        (lambda q, k, v: layers.Dot(2)([q, k]), Q * V * E),
        (
            lambda q, k, v: layers.Dot((1, -1))([layers.Permute((2, 1))(q), k]),
            Q * V * E,
        ),
        (
            lambda q, k, v: layers.EinsumDense("abc,cde->abde", (None, 2, 3))(q),
            Q * E * 2 * 3,
        ),
        (lambda q, k, v: layers.EinsumDense("...x,xy->...y", 9)(q), Q * E * 9),
        (lambda q, k, v: ops.matmul(q, ops.transpose(k, (0, 2, 1))), Q * V * E),
        (lambda q, k, v: ops.matmul(q, np.ones((E, 3), "float32")), Q * E * 3),
        (lambda q, k, v: ops.matmul(np.ones((3, Q), "float32"), q), Q * E * 3),
        (lambda q, k, v: ops.einsum("bqe,bve->bqv", q, k), Q * V * E),
        (lambda q, k, v: ops.concatenate([q, k], axis=1), 0),
    ],
)
def test_products_by_hand(made, macs):
    q, k, v = (keras.Input(shape) for shape in ((Q, E), (V, E), (V, F)))
    output = made(q, k, v)
    assert measure.macs(keras.Model([q, k, v], output)) == macs


def transformer(size=28, patch=7, width=16, heads=2, depth=1):
    """A small vision transformer (Dosovitskiy et al. 2021)."""
    image = keras.Input((size, size, 1))
    x = layers.Conv2D(width, patch, patch)(image)
    x = layers.Reshape((-1, width))(x)
    for _ in range(depth):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(heads, width // heads)(y, y)])
        y = layers.Dense(4 * width, "gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(width)(y)])
    return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def test_a_transformer_and_its_files_count_alike(tmp_path):
    model = transformer()
    count = 16 * 49 * 16 + 16 * 16 * (4 + 8) * 16 + 2 * 16 * 16 * 16 + 16 * 3
    assert measure.macs(model) == count
    assert sum(row.macs for row in measure.layer_calls(model)) == count
    assert measure.macs(export.litert(model, tmp_path / "net.tflite")) == count
    assert measure.macs(export.saved_model(model, tmp_path / "net")) == count


def test_a_vision_transformer_has_the_published_macs():
    """torchvision's vit_b_16: 17.56 G for 224 pixels; here without its class token."""
    tokens, width = 196, 768
    per_layer = tokens * width * width * (4 + 8) + 2 * tokens * tokens * width
    ours = 12 * per_layer + tokens * 256 * 3 * width
    assert ours == pytest.approx(17.56e9, rel=6e-3)
    small = transformer(size=16, patch=4, width=8, heads=1, depth=2)
    assert measure.macs(small) == (
        2 * (16 * 8 * 8 * 12 + 2 * 16 * 16 * 8) + 16 * 16 * 8 + 8 * 3
    )


def test_sizes_that_are_open_are_refused():
    sequence = keras.Input((None, 4), name="words")
    attention = layers.MultiHeadAttention(2, 4, name="heads")
    with pytest.raises(ValueError, match="'heads' sees sequences of open size"):
        measure.macs(keras.Model(sequence, attention(sequence, sequence)))


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("aecd,abcd->acbe", ((None, 5, 2, 4), (None, 7, 2, 4)), 5 * 7 * 2 * 4),
        ("...ij,...jk->...ik", ((None, 3, 4, 5), (3, 5, 6)), 3 * 4 * 5 * 6),
        ("bi, ij -> bj", ((None, 4), (4, 5)), 20),
    ],
)
def test_einsum_by_hand(equation, shapes, macs):
    assert einsum_macs(equation, shapes) == macs


@pytest.mark.parametrize(
    ("equation", "operands"), [("ab,bc", 2), ("ab->a", 1), ("ab,bc,cd->ad", 3)]
)
def test_other_equations_are_refused(equation, operands):
    with pytest.raises(ValueError, match=f"two operands .* got '{equation}'"):
        einsum_macs(equation, [(2, 2)] * operands)


def test_attention_of_operations_by_hand():
    query, key = keras.Input((16, 2, 4)), keras.Input((5, 2, 4))
    model = keras.Model([query, key], ops.dot_product_attention(query, key, key))
    assert measure.macs(model) == 2 * 16 * 5 * 2 * 4
