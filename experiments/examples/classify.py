"""What a .tflite file says of a picture. Needs numpy, pillow and ai-edge-litert.

    python deploy.py picture.png
    python deploy.py picture.png model.int8.tflite

limbeck writes this program beside deploy.json, from which it takes all that it knows;
both may have another name in front.
"""

import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

HERE = Path(__file__)
SHOWN = 3  # classes


def pixels_of(picture, deploy):
    """The picture as the net sees it, (height, width, channels) uint8."""
    height, width, channels = deploy["image_shape"]
    image = ImageOps.exif_transpose(Image.open(picture))
    image = image.convert("RGB" if channels == 3 else "L")
    if image.size != (width, height):
        if width != height:
            sys.exit(f"{picture} must have {width} x {height} pixels, as the net's own")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, channels)


def input_of(pixels, file):
    """What the file takes for pixels; `file` is what deploy.json says of it."""
    rule, dtype = file["pixels"], file["input"]["dtype"]
    values = np.array(rule["factor"]) * pixels + np.array(rule["offset"])
    if "lowest" in rule:
        values = np.rint(values).clip(rule["lowest"], rule["highest"])
    return values.astype(dtype)


def output_of(values, path):
    """What the file gives for one image: (classes,) real numbers."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    [takes], [gives] = interpreter.get_input_details(), interpreter.get_output_details()
    batch = np.repeat(values[None], takes["shape"][0], axis=0)
    interpreter.set_tensor(takes["index"], batch)
    interpreter.invoke()
    found = interpreter.get_tensor(gives["index"])[0].astype(np.float32)
    scale, zero_point = gives["quantization"]
    return np.float32(scale) * (found - zero_point) if scale else found


def main(picture=None, path=None, *more):
    if picture is None or more:
        sys.exit(__doc__)
    deploy = json.loads(HERE.with_suffix(".json").read_text(encoding="utf-8"))
    files = [name for name in deploy["files"] if name.endswith(".tflite")]
    name = files[0] if path is None else Path(path).name
    if name not in files:
        sys.exit(f"of {name} nothing is known here, but of {', '.join(files)}")
    values = input_of(pixels_of(picture, deploy), deploy["files"][name])
    found = output_of(values, HERE.with_name(name))
    if len(found) == 1:  # one number is of the second of two classes
        probability = deploy["files"][name]["output"]["name"] == "probabilities"
        found = np.array([1 - found[0] if probability else 0, found[0]])
    for best in np.argsort(-found, kind="stable")[:SHOWN]:
        print(f"{found[best]:10.4f}  {deploy['class_names'][best]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
