"""The smallest file of a net: weights and architecture, entropy-coded, without loss.

`archive` writes a .limbeck file, `load_archive` gives the model that is in one,
`read_archive` what it holds; `bits` says what tensors would take. FORMAT.md describes
the file. The range coder is the package constriction's, imported when it is needed.
"""

from compression.export.archive.contents import Contents
from compression.export.archive.models import archive, load_archive, read_archive
from compression.export.archive.rate_distortion import coarsen
from compression.export.archive.tensors import bits

__all__ = ["Contents", "archive", "bits", "coarsen", "load_archive", "read_archive"]
