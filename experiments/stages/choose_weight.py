"""How much a teacher's losses weigh, chosen on validation."""

from dataclasses import dataclass, field, replace
from typing import Any

import keras

from experiments.stages import fitting
from experiments.stages.base import Export, Job
from experiments.stages.distill import Distill
from experiments.stages.fitting import WEIGHT_FACTOR
from experiments.training.fit import Trained

STARTUP = 3  # trials at random before TPE has enough to go by


@dataclass(frozen=True)
class ChooseWeight(Distill):
    """A net is taught several times, the teacher's losses weighing more or less.

    The first trial has the weights of `teaching`; for each of the others Optuna (TPE)
    proposes one factor that multiplies them all. The labels' loss stays as it is. The
    best trial is that of the best validation top-1; its net is written, and other
    stages take its factor with `Teaching(weighed_by=...)`. A trial whose loss becomes
    infinite counts as the worst.

    Attributes:
        trials: trainings, each as `training` says.
        span: the factors are from 1 / `span` to `span`.
        trial_seed: of all randomness of the trials, so that no seed which is reported
            has chosen its own weights.

    Raises:
        ValueError: a setting is out of its range, or there is nothing to weigh.
    """

    trials: int = field(default=4, kw_only=True)
    span: float = field(default=10.0, kw_only=True)
    trial_seed: int = field(default=100, kw_only=True)
    once: bool = field(default=True, kw_only=True)
    exports: tuple[Export, ...] = field(default=(), kw_only=True)

    weighs = True

    def __post_init__(self):
        super().__post_init__()
        if self.trials < 1:
            raise ValueError(f"trials must be at least 1, got {self.trials}")
        if self.span <= 1:
            raise ValueError(f"span must be above 1, got {self.span}")
        if self.trial_seed < 0:
            raise ValueError(f"trial_seed must not be negative, got {self.trial_seed}")
        if self.weighed_by is not None:
            raise ValueError(
                f"{self.name} chooses weights itself: without teaching.weighed_by"
            )
        if not any(loss.weight for loss in self.teaching.losses(images=1)):
            raise ValueError(f"{self.name}: there are only labels, nothing to weigh")

    @property
    def what(self) -> str:
        return f"{super().what}, with {self.trials} weights of the losses"

    def shortened(self, epochs: int) -> "ChooseWeight":
        return replace(super().shortened(epochs), trials=min(self.trials, 2))

    def run(self, job: Job) -> dict[str, Any]:
        keras.utils.set_random_seed(self.trial_seed)
        return super().run(replace(job, seed=self.trial_seed))

    def trained(self, model: keras.Model, job: Job) -> tuple[Trained, dict[str, Any]]:
        first, tried, best = model.get_weights(), [], None
        study = _study(self.trial_seed)
        for number in range(self.trials):
            trial = study.ask({WEIGHT_FACTOR: _factors(self.span)})
            factor = trial.params[WEIGHT_FACTOR]
            model.set_weights(first)
            # Projectors start alike in every trial, also in one that goes on.
            keras.utils.set_random_seed(self.trial_seed)
            print(f"  trial {number + 1} of {self.trials}: weights x {factor:.3g}")
            top1, found = self._try(factor, model, job, number)
            study.tell(trial, top1)
            tried.append([factor, top1])
            if found and (best is None or top1 > best[0]):
                best = top1, factor, model.get_weights(), found
        if best is None:
            raise FloatingPointError(
                f"stage {self.name!r}: the loss became NaN or infinite with each of "
                f"{self.trials} weights: a lower learning rate may help"
            )
        _, factor, weights, (trained, about) = best
        model.set_weights(weights)
        return trained, about | {WEIGHT_FACTOR: factor, "weights_tried": tried}

    def _try(self, factor, model, job, number):
        """Its validation top-1 (0 where it diverges), and what `fitting.fit` gives."""
        stage = replace(self, teaching=self.teaching.weighed(factor))
        try:
            found = fitting.fit(stage, model, job, fitting.Part(number))
        except FloatingPointError as error:
            print(f"  {error}", flush=True)
            return 0.0, None
        return found[0].best_score or 0.0, found


def _study(seed):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial({WEIGHT_FACTOR: 1.0})
    return study


def _factors(span):
    import optuna

    return optuna.distributions.FloatDistribution(1 / span, span, log=True)
