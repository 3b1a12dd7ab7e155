"""A teacher's outputs, computed once and replayed instead of running it every step.

`cached_outputs` keeps them on disk, for later epochs and later runs;
`teacher_logits` keeps logits in memory.
"""

from compression.distillation.teacher_cache.disk import (
    CachedOutputs,
    Views,
    cached_outputs,
)
from compression.distillation.teacher_cache.in_memory import teacher_logits

__all__ = ["CachedOutputs", "Views", "cached_outputs", "teacher_logits"]
