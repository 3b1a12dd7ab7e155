"""Progress lines: rate, time left, what they show."""

import pytest

from experiments.training import progress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")],
)
def test_clock(seconds, text):
    assert progress.clock(seconds) == text


def test_the_rate_is_the_median_of_epochs_after_the_first(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    callback = progress.Progress("net", 4, 50)
    callback.set_params({"steps": 2})
    callback.on_train_begin()
    assert callback.rate is None
    rates = []
    for epoch, seconds_a_step in enumerate((9.0, 2.0, 1.0, 4.0)):
        callback.on_epoch_begin(epoch)
        for batch in range(2):
            now[0] += seconds_a_step
            callback.on_train_batch_end(batch, {})
        now[0] += 100.0  # of validation, which does not count
        callback.on_epoch_end(epoch, {})
        rates.append(callback.rate)
    assert rates == [50 / 9, 50 / 2, (50 / 2 + 50 / 1) / 2, 50 / 2]


def test_a_line_an_epoch_with_rate_and_time_left(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    callback = progress.Progress("resnet20", 3, 50, shown=["sparsity"])
    callback.set_params({"steps": 4})
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    for batch in range(4):
        now[0] += 0.5
        callback.on_train_batch_end(batch, {"loss": 1.0})
    callback.on_epoch_end(
        0, {"loss": 0.5, "sparsity": 0.75, "val_accuracy": 0.25, "x": 1}
    )
    line = capsys.readouterr().out
    # 4 x 50 images in 2 seconds; two epochs of 2 seconds are left.
    assert line == (
        "  resnet20 epoch   1/3  loss 0.5000  val_accuracy 0.2500  sparsity 0.7500  "
        "100 images/s  0:04 left\n"
    )
