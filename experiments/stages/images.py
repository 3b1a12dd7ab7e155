"""Does a model take the images of a dataset?"""

import keras

from experiments.data import Data


def require_images(model: keras.Model, data: Data, what: str) -> None:
    """Raises ValueError unless `model` takes them; names the way out.

    Args:
        model: of images (height, width, channels).
        data: the dataset.
        what: the model in words.
    """
    takes, given = tuple(model.input_shape[1:]), tuple(data.image_shape)
    if takes == given:
        return
    way_out = f"set image_size={takes[0]}"
    if len(takes) != len(given) or takes[-1] != given[-1]:
        way_out = f"start from a net that takes {given[-1]} channels"
    elif None in takes:
        way_out = "save it with a fixed image size"
    elif takes[0] != takes[1]:
        way_out = "images are cut to squares only"
    raise ValueError(
        f"{what} takes images of {takes}, those of {data.name} are {given}: {way_out}"
    )
