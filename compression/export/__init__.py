"""How a net leaves Keras: files that other runtimes load, written whole or not at all.

`saved_model` writes a TensorFlow Serving folder, `litert` a .tflite file, `archive` the
smallest file there is, from which `load_archive` gives the model again; `load` runs any
of them, and .keras files, on images; `load_model` gives what is in a .keras file;
`micro` writes a .tflite file as a C array.
TensorFlow is imported when one of them is called, not when this package is.
"""

from compression.export.archive import archive, coarsen, load_archive, read_archive
from compression.export.litert import ENGINES, litert
from compression.export.micro import micro
from compression.export.runners import Runner, load, load_model, of_model
from compression.export.saved_model import saved_model

__all__ = [
    "ENGINES",
    "Runner",
    "archive",
    "coarsen",
    "litert",
    "load",
    "load_archive",
    "load_model",
    "micro",
    "of_model",
    "read_archive",
    "saved_model",
]
