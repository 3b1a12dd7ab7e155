"""How sparse a net should be at each step of its training.

A schedule is a function of the step (from 0). Its value stays the same for
`frequency` steps: new masks are found only when it moves.
"""

from dataclasses import dataclass

from compression.arguments import require_number


@dataclass(frozen=True)
class ConstantSparsity:
    """`final` from step `begin` on, nothing before.

    Attributes:
        final: fraction of zeros, 0 <= final < 1.
        begin: first step that is pruned.
    """

    final: float
    begin: int = 0

    def __post_init__(self):
        _require_fraction("final", self.final)
        _require_step("begin", self.begin)

    @property
    def end(self) -> int:
        """The step from which the final sparsity holds."""
        return self.begin

    def __call__(self, step: int) -> float:
        """The fraction of zeros that holds during `step`."""
        return self.final if step >= self.begin else 0.0


@dataclass(frozen=True)
class PolynomialDecay:
    """The gradual schedule of Zhu & Gupta (2017), equation 1.

    https://arxiv.org/abs/1710.01878

    Sparsity at step t, begin <= t <= end, is
    `final + (initial - final) * (1 - (t - begin) / (end - begin)) ** power`.

    Attributes:
        final: fraction of zeros from step `end` on, 0 <= final < 1.
        begin: first step that is pruned.
        end: step from which `final` holds, after `begin`.
        initial: fraction of zeros at `begin`, at most `final`.
        power: exponent; 3 in the paper.
        frequency: steps between two changes, at least 1.
    """

    final: float
    begin: int
    end: int
    initial: float = 0.0
    power: float = 3.0
    frequency: int = 100

    def __post_init__(self):
        _require_fraction("final", self.final)
        _require_fraction("initial", self.initial)
        _require_step("begin", self.begin)
        if self.initial > self.final:
            raise ValueError(
                f"initial sparsity {self.initial} is above the final {self.final}"
            )
        for name in ("end", "power", "frequency"):
            require_number(name, getattr(self, name))
        if self.end <= self.begin:
            raise ValueError(f"end {self.end} must come after begin {self.begin}")
        if self.power <= 0:
            raise ValueError(f"power must be positive, got {self.power}")
        if self.frequency < 1:
            raise ValueError(f"frequency must be at least 1, got {self.frequency}")

    def __call__(self, step: int) -> float:
        """The fraction of zeros that holds during `step`."""
        if step < self.begin:
            return 0.0
        if step >= self.end:
            return self.final
        due = step - (step - self.begin) % self.frequency
        left = 1 - (due - self.begin) / (self.end - self.begin)
        return self.final + (self.initial - self.final) * left**self.power


def _require_fraction(name, value):
    require_number(f"{name} sparsity", value)
    if not 0 <= value < 1:
        raise ValueError(f"{name} sparsity must be in [0, 1), got {value}")


def _require_step(name, value):
    require_number(name, value)
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
