"""How a stage trains: its settings, checked when they are made."""

from dataclasses import dataclass

OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "cosine", "step")
PRECISIONS = ("auto", "float32", "mixed_float16", "mixed_bfloat16")


@dataclass(frozen=True)
class Training:
    """How a stage trains.

    Attributes:
        epochs: passes over the train split.
        batch_size: images a step.
        optimizer: "sgd" (Nesterov momentum), "adam" or "adamw".
        learning_rate: at its highest, after warm-up.
        momentum: of "sgd".
        weight_decay: decoupled (Loshchilov & Hutter 2019); biases and batch norm are
            left out.
        schedule: "constant"; "cosine" to zero; "step": times `drop_factor` at each of
            `drops`.
        warmup_epochs: linear rise from zero.
        drops: fractions of the training after which "step" drops.
        drop_factor: of "step".
        label_smoothing: 0 <= label_smoothing < 1, where labels are learned alone.
        class_weights: "balanced": the loss of a label counts in inverse proportion to
            its train images, on average once; None: all alike. Validation's loss, too.
        sampling: "balanced": an epoch, as long as ever, shows each class equally
            often; None: each image once.
        clip_norm: largest norm of all gradients together; None: unclipped.
        keep: the epoch whose weights are kept: "best" validation top-1, or "last",
            where validation does not measure what the net is for.
        patience: epochs without a better validation top-1 before it stops; None: never.
        precision: "auto" is "mixed_float16" on a GPU, "float32" elsewhere.
        jit_compile: XLA. "auto": measured before training on a GPU; off on a CPU,
            where it was measured to cost a third of the speed.
    """

    epochs: int
    batch_size: int = 64
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    drops: tuple[float, ...] = (0.5, 0.75)
    drop_factor: float = 0.1
    label_smoothing: float = 0.0
    clip_norm: float | None = None
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
        for field in ("epochs", "batch_size", "learning_rate"):
            if getattr(self, field) <= 0:
                raise ValueError(
                    f"{field} must be positive, got {getattr(self, field)}"
                )
        if self.keep == "last" and self.patience is not None:
            raise ValueError('patience waits for a better epoch: it needs keep="best"')
        if self.class_weights and self.sampling:
            raise ValueError(
                "class_weights and sampling both make up for uneven classes: choose one"
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be in [0, 1), got {self.label_smoothing}"
            )
