"""What guesses score, and may score by luck; a stage that guesses says so."""

import numpy as np
import pytest

from experiments.data.guessing import by_luck, one_answer
from experiments.stages.net import Net
from experiments.stages.train import Train
from experiments.training.fit import Trained
from experiments.training.settings import Training

LABELS = np.repeat([0, 1, 2], [36, 24, 12])


def test_guesses():
    assert one_answer(LABELS) == 0.5
    assert by_luck(0.5, 72) == pytest.approx(0.5 + 3 * 0.5 / 72**0.5)
    assert by_luck(0.5, 4) == 0.75  # half-way to all right, of few images
    assert by_luck(1.0, 100) == 1.0


@pytest.mark.parametrize(
    ("right", "guesses"), [(0.5, True), (0.67, True), (0.68, False)]
)
def test_a_net_that_has_learned_nothing_is_told_of(right, guesses, capsys):
    stage = Train("mine", Net("lenet5"), Training(epochs=1))
    stage._tell_of_guesses(Trained({}, 0, right), LABELS)
    told = capsys.readouterr().out
    assert bool(told) == guesses
    if guesses:
        assert f"mine is no better than guessing: {right:.1%} of 72 validation" in told
    stage._tell_of_guesses(Trained({}, 0, right), None)  # a stream's are not at hand
    assert not capsys.readouterr().out
