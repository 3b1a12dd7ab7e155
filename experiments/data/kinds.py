"""How names of data begin that say where images lie."""

BY_PATH = ("folder", "csv", "npz", "unlabelled")
