"""What we run: data, recipes, run folders, reports and the command line.

`experiments.compress(model, data, max_drop=0.5)` is what `limbeck compress` does.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """`compress` comes when it is asked for: it needs Keras."""
    if name == "compress":
        from experiments.search.compress import compress

        return compress
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
