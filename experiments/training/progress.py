"""Live progress of a training: a line an epoch, images a second, time left."""

import statistics
import sys
import time
from collections.abc import Sequence

import keras

SHOWN = ("loss", "accuracy", "val_accuracy")
REFRESH = 0.5  # seconds between two updates of the live line


class Progress(keras.callbacks.Callback):
    """Prints one line an epoch; on a terminal the line is alive within the epoch.

    Args:
        title: head of every line.
        epochs: of the whole training.
        batch_size: images a step.
        shown: logged values to show beside loss and accuracies.
    """

    def __init__(
        self, title: str, epochs: int, batch_size: int, shown: Sequence[str] = ()
    ):
        super().__init__()
        self.title = title
        self.epochs = epochs
        self.batch_size = batch_size
        self.shown = (*SHOWN, *shown)
        self.live = sys.stdout.isatty()
        self._rates: list[float] = []

    def on_train_begin(self, logs=None):
        self._start = time.perf_counter()
        self._steps_done = 0

    @property
    def rate(self) -> float | None:
        """Train images a second: the median over epochs, None before the first.

        Without validation. The first epoch of several does not count: the step is
        traced in it.
        """
        rates = self._rates[1:] or self._rates
        return statistics.median(rates) if rates else None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self._epoch_start = self._shown = self._last = time.perf_counter()
        self._steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        self._steps_done += 1
        now = self._last = time.perf_counter()
        if self.live and now - self._shown > REFRESH:
            self._shown = now
            print(f"\r{self._line(logs, now)}\033[K", end="", flush=True)

    def on_epoch_end(self, epoch, logs=None):
        self._rates.append(self._rate(self._last))
        line = self._line(logs, time.perf_counter())
        print(f"\r{line}\033[K" if self.live else line, flush=True)

    def _line(self, logs, now):
        left_steps = (self.epochs - self.epoch) * self.params["steps"] - self._steps
        left = left_steps * (now - self._start) / max(self._steps_done, 1)
        values = "  ".join(
            f"{name} {float(logs[name]):.4f}"
            for name in self.shown
            if logs and name in logs
        )
        return (
            f"  {self.title:<8} epoch {self.epoch + 1:>3}/{self.epochs}  {values}  "
            f"{self._rate(now):,.0f} images/s  {clock(left)} left"
        )

    def _rate(self, now):
        return self._steps * self.batch_size / max(now - self._epoch_start, 1e-9)


def clock(seconds: float) -> str:
    """Minutes and seconds, or hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
