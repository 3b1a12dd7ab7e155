"""Does a model take the images of a dataset?"""

from collections.abc import Sequence

import keras

from compression.graph import has_graph, rebuild
from experiments.data import Data
from experiments.data.colours import other_colours
from experiments.data.image_input import require_image_input


def of_size(model: keras.Model, image_shape: Sequence[int]) -> keras.Model:
    """`model` for images of that size alone, where it leaves theirs open.

    Any other is given back as it is; whether it takes such images, `require_images`
    says.

    Raises:
        ValueError: it cannot be of that size.
    """
    if not has_graph(model) or len(model.inputs) != 1:
        return model
    [image] = model.inputs
    takes = tuple(image.shape[1:])
    is_open = None in takes and len(takes) == len(image_shape)
    if not is_open or any(
        own not in (None, given) for own, given in zip(takes, image_shape, strict=True)
    ):
        return model

    return _with_input(model, (image.shape[0], *image_shape))


def of_any_batch(model: keras.Model, what: str) -> keras.Model:
    """`model` for any number of images at once, where it takes one number alone.

    Any other is given back as it is.

    Args:
        model: of images, or any other.
        what: the model in words.

    Raises:
        ValueError: it computes something that holds for this number alone.
    """
    if not has_graph(model) or len(model.inputs) != 1:
        return model
    batch, *takes = model.inputs[0].shape
    if batch is None:
        return model
    try:
        opened = _with_input(model, (None, *takes))
        is_open = all(output.shape[0] is None for output in opened.outputs)
    except Exception:  # a layer's own, for which a batch has a size
        is_open = False
    if not is_open:
        raise ValueError(
            f"{what} takes {batch} images at once and no other number, and computes by "
            "that number: build it with keras.Input(shape), without batch_size, give "
            "it these weights, and save that"
        )
    return opened


def _with_input(model, batch_shape):
    """The same net with another shape of its only input."""
    [image] = model.inputs

    def replace(call):
        if call.outputs[0] is not image:
            return None
        return keras.layers.InputLayer(
            batch_shape=batch_shape, dtype=image.dtype, name=call.operation.name
        )

    return rebuild(model, replace, flatten=True)  # inside a model, its own stay


def require_images(model: keras.Model, data: Data, what: str) -> None:
    """Raises ValueError unless `model` takes them; names the way out.

    Args:
        model: of images (height, width, channels).
        data: the dataset.
        what: the model in words.
    """
    takes, given = tuple(model.input_shape[1:]), tuple(data.image_shape)
    require_image_input(what, takes, model)
    if takes == given:
        return
    way_out = f"set image_size={takes[0]}"
    if takes[-1] != given[-1]:
        other = other_colours(data.name, takes[-1])
        way_out = f"start from a net that takes {given[-1]} channels{other and ', or '}"
        way_out += other.removeprefix(": ")
    elif None in takes:
        way_out = "save it with a fixed image size"
    elif takes[0] != takes[1]:
        way_out = (
            "images are cut to squares only, but arrays (npz:PATH) are taken as they "
            "are"
        )
    raise ValueError(
        f"{what} takes images of {takes}, those of {data.name} are {given}: {way_out}"
    )
