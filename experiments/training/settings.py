"""How a stage trains: its settings, checked when they are made."""

from dataclasses import dataclass

from experiments.value_types import check_types

OPTIMIZERS = ("sgd", "adam", "adamw", "lamb")
SCHEDULES = ("constant", "cosine", "step", "plateau")
MOST = 2**31 - 1  # epochs, images a step and the like
PRECISIONS = ("auto", "float32", "mixed_float16", "mixed_bfloat16", "measure")


@dataclass(frozen=True)
class Training:
    """How a stage trains.

    Attributes:
        epochs: passes over the train split.
        batch_size: images a step.
        accumulation: steps whose gradients are averaged for one update, as if the
            batch were so many times larger; batch norm sees the small ones. Epochs,
            schedules and masks go on counting steps. 1: each step is an update.
        optimizer: "sgd" (Nesterov momentum), "adam", "adamw", or "lamb" for large
            batches (You et al. 2020).
        learning_rate: at its highest, after warm-up.
        momentum: of "sgd".
        weight_decay: decoupled (Loshchilov & Hutter 2019); biases and batch norm are
            left out.
        schedule: "constant"; "cosine" to zero; "step": times `drop_factor` at each of
            `drops`; "plateau": times `drop_factor` whenever validation top-1 has not
            risen for `plateau_patience` epochs (Krizhevsky et al. 2012, section 5).
        warmup_epochs: linear rise from zero.
        drops: fractions of the training after which "step" drops.
        drop_factor: of "step" and "plateau".
        plateau_patience: epochs without a better validation top-1 before "plateau"
            drops.
        label_smoothing: 0 <= label_smoothing < 1, where labels are learned alone.
        class_weights: "balanced": the loss of a label counts in inverse proportion to
            its train images, on average once; None: all alike. Validation's loss, too.
        sampling: "balanced": an epoch, as long as ever, shows each class equally
            often; None: each image once.
        clip_norm: largest norm of all gradients of an update together; None:
            unclipped.
        averaging: of weights, which are then validated and kept in place of the last
            ones, batch norm estimated for them anew: "ema", an exponential moving
            average over the updates (Polyak & Juditsky 1992); "swa", the mean of the
            weights after each epoch (Izmailov et al. 2018); None: no averaging.
        averaging_momentum: of "ema": what the average keeps of itself at an update.
        averaging_from: of "swa": the fraction of the training after which epochs
            count, 0 <= averaging_from < 1; none before it is "best".
        keep: the epoch whose weights are kept: "best" validation top-1, or "last",
            where validation does not measure what the net is for.
        patience: epochs without a better validation top-1 before it stops; None: never.
        precision: "auto" is "mixed_float16" on a GPU, "float32" elsewhere; "measure"
            is "mixed_bfloat16" where its steps are faster than those of "float32",
            which depends on the machine.
        jit_compile: XLA. "auto": measured before training on a GPU; off on a CPU,
            where it was measured to cost a third of the speed.
    """

    epochs: int
    batch_size: int = 64
    accumulation: int = 1
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    drops: tuple[float, ...] = (0.5, 0.75)
    drop_factor: float = 0.1
    plateau_patience: int = 5
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    averaging: str | None = None
    averaging_momentum: float = 0.99
    averaging_from: float = 0.75
    keep: str = "best"
    patience: int | None = None
    precision: str = "auto"
    jit_compile: bool | str = "auto"
    class_weights: str | None = None
    sampling: str | None = None

    def __post_init__(self):
        for field, valid in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("averaging", (None, "ema", "swa")),
            ("keep", ("best", "last")),
            ("precision", PRECISIONS),
            ("jit_compile", ("auto", "measure", True, False)),
            ("class_weights", (None, "balanced")),
            ("sampling", (None, "balanced")),
        ):
            if getattr(self, field) not in valid:
                choices = ", ".join(map(str, valid))
                raise ValueError(
                    f"no {field} called {getattr(self, field)!r}; choose from {choices}"
                )
        check_types(self)
        self._check_ranges()
        if self.keep == "last" and self.patience is not None:
            raise ValueError('patience waits for a better epoch: it needs keep="best"')
        if self.class_weights and self.sampling:
            raise ValueError(
                "class_weights and sampling both make up for uneven classes: choose one"
            )
        if self.schedule == "plateau":
            self._check_plateau()

    def _check_ranges(self):
        whole = ("epochs", "batch_size", "accumulation", "plateau_patience", "patience")
        from_0 = ("momentum", "label_smoothing", "averaging_momentum", "averaging_from")
        for fields, is_valid, range_ in (
            ((*whole, "learning_rate", "clip_norm"), lambda x: x > 0, "positive"),
            (whole, lambda x: x <= MOST, f"at most {MOST}"),
            (("weight_decay", "warmup_epochs"), lambda x: x >= 0, "0 or more"),
            (from_0, lambda x: 0 <= x < 1, "in [0, 1)"),
            (("drops",), lambda x: all(0 < drop <= 1 for drop in x), "in (0, 1]"),
        ):
            for field in fields:
                value = getattr(self, field)
                if value is not None and not is_valid(value):
                    raise ValueError(f"{field} must be {range_}, got {value}")

    def _check_plateau(self):
        if self.warmup_epochs:
            raise ValueError(
                'schedule="plateau" has no warm-up: leave warmup_epochs at 0, got '
                f"{self.warmup_epochs}"
            )
        if not 0 < self.drop_factor < 1:
            raise ValueError(f"drop_factor must be in (0, 1), got {self.drop_factor}")
