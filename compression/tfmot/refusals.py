"""What tfmot does not take, said with the name of the layer and the way out."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import keras

from compression.one_line import in_one_line


@contextmanager
def naming_the_layer(model: keras.Model, verb: str, ours: str) -> Iterator[None]:
    """Errors of tfmot in the block become one line that names the layer.

    Args:
        model: what it is asked to work on.
        verb: what it does not do, "prunes".
        ours: limbeck's own function that may, "pruning.Prune".

    Raises:
        ValueError: tfmot raised an error.
    """
    try:
        yield
    except Exception as error:  # of many kinds, some from deep inside tf_keras
        reason = in_one_line(error)
        raise ValueError(
            f"tfmot {verb} no net like {model.name!r}: {_first_sentence(reason)}; "
            f"exempt the layer, or use limbeck's own {ours}"
        ) from error


def _first_sentence(text):
    return re.split(r"(?<=[a-z>\]])\. ", text)[0].rstrip(".")[:300]
