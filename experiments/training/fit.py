"""One `fit` for every stage: compiled, checkpointed, resumed, its best epoch kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras

from compression.projection import Projection
from experiments.training import replicas
from experiments.training.averaging import averaging
from experiments.training.batch_norm import forgetting
from experiments.training.checkpoint import MONITOR, Checkpoint
from experiments.training.devices import gpus
from experiments.training.optimizers import optimizer
from experiments.training.plateau import Plateau
from experiments.training.progress import Progress
from experiments.training.rates import with_rates
from experiments.training.settings import Training
from experiments.training.xla import faster_compiled


@dataclass(frozen=True)
class Trained:
    """What a training leaves behind beside the weights.

    Two are equal that learned the same, however fast.

    Attributes:
        history: "epoch" (from 1) and every logged value, one number an epoch.
        best_epoch: the epoch whose weights were kept, None if none counted.
        best_score: its top-1 on the validation split.
        images_per_second: that were trained on, see `Progress.rate`; None where no
            epoch was left to train.
    """

    history: dict[str, list[float]]
    best_epoch: int | None
    best_score: float | None
    images_per_second: float | None = field(default=None, compare=False)


def fit(  # noqa: PLR0913, all but four by keyword
    model: keras.Model,
    train: Callable,
    validation,
    settings: Training,
    *,
    checkpoint: Path,
    loss: keras.losses.Loss | None = None,
    title: str = "",
    shown: Sequence[str] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    best_from: int = 0,
    rate: Callable[[keras.Variable], float] | None = None,
    accuracy: bool = True,
) -> Trained:
    """Train `model`, going on where an interrupted call with `checkpoint` stood.

    Afterwards the model has the weights of the epoch with the best validation top-1
    (the last such epoch where several are equal), or of the last epoch, as
    `settings.keep` asks; with `settings.averaging`, the weights averaged by then.

    Args:
        model: what is trained; changed.
        train: function of the first epoch that gives endless batches from that epoch
            on, and the steps of an epoch.
        validation: batches, gone through after every epoch.
        settings: how to train.
        checkpoint: file that holds the state after the last whole epoch.
        loss: of (labels, logits); None: the model has losses of its own.
        title: head of the lines of progress.
        shown: logged values that these lines show beside loss and accuracies.
        callbacks: more Keras callbacks, called before ours.
        best_from: epochs before this one (from 0) do not count as best.
        rate: function of a variable that gives the factor of its learning rate.
        accuracy: whether the labels are classes; if not, the best epoch is that of
            the lowest validation loss, and its score the negative of it.

    Returns:
        What was logged, and the epoch whose weights the model has now.

    Raises:
        FloatingPointError: the loss became NaN or infinite, or a weight did; names
            the step, and the epoch that the checkpoint holds.
        ValueError: the checkpoint belongs to another model or is damaged.
    """
    replicas.require_possible(settings)
    batches = train(0)
    steps = batches.steps_per_epoch

    def compile_with(jit_compile):
        chosen = optimizer(settings, steps)
        if rate is not None:
            chosen = with_rates(chosen, [rate(v) for v in model.trainable_variables])
        model.compile(
            chosen,
            loss=loss,
            metrics=["accuracy"] if accuracy else [],
            jit_compile=jit_compile,
        )
        model.optimizer.build(model.trainable_variables)

    compile_with(_jit_compile(model, compile_with, batches, settings))
    if settings.keep == "last":
        best_from = settings.epochs - 1
    ours = []
    averages = averaging(settings, train, model)
    if averages is not None:
        ours.append(averages)
        best_from = max(best_from, averages.first_epoch)
    keeper = Checkpoint(
        checkpoint,
        patience=settings.patience,
        best_from=best_from,
        averaging=averages,
        projections=[each for each in callbacks if isinstance(each, Projection)],
    )
    ours.append(keeper)
    first_epoch = keeper.restore(model)
    progress = Progress(title, settings.epochs, settings.batch_size, shown)
    if settings.schedule == "plateau":  # after the rate was logged
        ours.append(Plateau(settings, list(keeper.history.get(MONITOR, []))))
    if first_epoch < settings.epochs and not keeper.stopped:
        if first_epoch > 0:
            batches = train(first_epoch)
        fit_model = replicas.fit if replicas.are_several() else _fit
        with forgetting(model, settings.epochs * steps):
            fit_model(
                model,
                batches.dataset,
                epochs=settings.epochs,
                initial_epoch=first_epoch,
                steps_per_epoch=steps,
                validation_data=validation,
                callbacks=[*callbacks, *ours, progress],
            )
    keeper.take_best(model)
    best = keeper.best
    return Trained(keeper.history, best.get("epoch"), best.get("score"), progress.rate)


def _fit(model, batches, **options):
    model.fit(batches, shuffle=False, verbose=0, **options)  # shuffled they are


def _jit_compile(model, compile_with, batches, settings):
    chosen = settings.jit_compile
    if replicas.are_several():
        return False  # see `replicas.require_possible`
    if chosen == "measure" or (chosen == "auto" and gpus()):
        return faster_compiled(model, compile_with, next(iter(batches.dataset)))
    return False if chosen == "auto" else chosen
