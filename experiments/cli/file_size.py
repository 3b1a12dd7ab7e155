"""What a verb says of the file that it wrote."""

from pathlib import Path


def size_line(path: Path) -> str:
    """Bytes of a file or folder, as they are and zipped."""
    from compression import measure

    return f"{measure.size(path):,} bytes, zipped {measure.zipped_size(path):,}"
