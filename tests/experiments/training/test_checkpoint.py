"""What the checkpoint keeps, without a training."""

import keras

from experiments.training.checkpoint import Checkpoint


def test_of_equally_good_epochs_the_later_is_the_best(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd")
    keeper = Checkpoint(tmp_path / "checkpoint.npz")
    keeper.set_model(model)
    for epoch, score in enumerate([0.5, 0.75, 0.75, 0.25]):
        model.layers[0].bias.assign([epoch + 1])
        keeper.on_epoch_end(epoch, {"val_accuracy": score})
    assert keeper.best == {"epoch": 3, "score": 0.75}
    keeper.take_best(model)
    assert model.layers[0].get_weights()[1] == [3]
