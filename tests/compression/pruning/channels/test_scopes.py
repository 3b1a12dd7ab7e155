"""Which groups compete, and how much of each goes."""

import keras
import numpy as np
from keras import layers

from compression import pruning
from compression.pruning.channels.budget import Limits, Ranking
from compression.pruning.channels.groups import Group, couple
from compression.pruning.channels.scopes import classes


def residual(blocks=2):
    """A stream that blocks add to: groups in the blocks are alike, that is another."""
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(16, 1, name="stem")(image)
    for i in range(blocks):
        y = layers.Conv2D(8, 1, name=f"inner{i}")(x)
        y = layers.BatchNormalization()(y)
        x = layers.Add()([x, layers.Conv2D(16, 1, name=f"outer{i}")(y)])
    x = layers.Dense(6, name="hidden")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(2)(x))


def test_groups_of_one_structure_are_a_class():
    coupling = couple(residual())
    free = [group for group in coupling.groups if not group.kept]
    assert [g.makers[0] for g in free] == ["stem", "inner0", "inner1", "hidden"]
    stem, first, second, hidden = classes("isomorphic", free, coupling)
    assert first == second and len({stem, first, hidden}) == 3
    assert classes("global", free, coupling) == ("all",) * 4
    assert len(set(classes("local", free, coupling))) == 4


def test_the_same_fraction_of_each_class_goes():
    """Inside a class by score: (1, 2, 3, 4) and (10, 20, 5, 0.5)."""
    groups = [
        Group(np.arange(4 * i, 4 * i + 4), (f"c{i}",), (), (), (), ()) for i in range(3)
    ]
    scores = np.array([1, 2, 3, 4, 10, 20, 5, 0.5, 9e5, 7e5, 8e5, 6e5])
    ranking = Ranking(groups, scores, ("a", "a", "b"), Limits(), 12)
    # After six of twelve: four of the eight of "a", two of the four of "b".
    gone = np.flatnonzero(~ranking.cut(6)).tolist()
    assert gone == [0, 1, 2, 7, 9, 11]
    assert np.flatnonzero(~ranking.cut(3)).tolist() == [0, 7, 11]


def test_a_plan_by_structure():
    """Weights of one block are small: globally, its channels would all go first."""
    model = residual()
    for name in ("stem", "inner0", "inner1", "hidden"):
        kernel = model.get_layer(name).kernel
        kernel.assign(np.ones(kernel.shape) * (1 + np.arange(kernel.shape[-1])))
    kept = pruning.plan_channels(
        model, parameters=0.4, scope="isomorphic", floor=0.0
    ).kept
    inner = len(kept["inner0"]) + len(kept["inner1"])
    fractions = [len(kept["stem"]) / 16, inner / 16, len(kept["hidden"]) / 6]
    assert np.ptp(fractions) <= 1 / 6
    assert kept["stem"] == kept["outer0"] == kept["outer1"]
