"""Has TFDS prepare a dataset, or fails at once with the reason."""

import contextlib
import logging
import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import tensorflow_datasets as tfds

PATIENCE = 5.0  # seconds to wait for a download's server
ONE_AT_A_TIME = threading.RLock()


def download(name: str, builder: tfds.core.DatasetBuilder, data_dir: Path) -> None:
    """Downloads and prepares the dataset below `data_dir`.

    TFDS alone would try a server that cannot be reached for minutes, so each is
    called first. What a failure leaves empty is removed again; finished downloads
    stay, since TFDS goes on from them.

    Raises:
        FileNotFoundError: it cannot be had from here; the message has the way out.
    """
    reason = _obstacle(builder, data_dir)
    cause = None
    if not reason:
        fresh = [path for path in _folders(builder, data_dir) if not path.exists()]
        try:
            # TFDS reports on stdout, which belongs to our own results.
            with contextlib.redirect_stdout(sys.stderr):
                builder.download_and_prepare()
        except Exception as error:  # whatever a dataset's own code raises
            reason, cause = f"TFDS failed with {type(error).__name__}", error
        finally:
            for path in fresh:
                with contextlib.suppress(OSError):  # not empty, or never made
                    path.rmdir()
    if reason:
        raise FileNotFoundError(
            f"{name} is not prepared in {data_dir} and {reason}; set TFDS_DATA_DIR to "
            "a folder that holds it prepared by TFDS"
        ) from cause


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences TFDS's warnings about folders that are not there yet."""
    logger = logging.getLogger("absl")
    with ONE_AT_A_TIME:  # the logger is the whole process's
        level = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)


def _obstacle(builder: tfds.core.DatasetBuilder, data_dir: Path) -> str:
    """Why trying to download would be in vain, or ""."""
    manual = data_dir / "downloads" / "manual"
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        if manual.is_dir() and any(manual.iterdir()):
            return ""
        return f"its files must be put into {manual} by hand"
    urls = builder.url_infos or {}
    if not urls:
        return "it does not list where its files are"
    if urllib.request.getproxies():
        return ""  # a proxy reaches servers that we cannot call ourselves
    for host, port in sorted({_server(url) for url in urls}):
        try:
            socket.create_connection((host, port), timeout=PATIENCE).close()
        except OSError:
            return f"{host} cannot be reached"
    return ""


def _server(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    default = {"http": 80, "ftp": 21}.get(parts.scheme, 443)
    return parts.hostname or "", parts.port or default


def _folders(builder: tfds.core.DatasetBuilder, data_dir: Path) -> list[Path]:
    """What TFDS makes before it has anything to put there, innermost first."""
    version = Path(builder.data_dir)
    between = [path for path in version.parents if data_dir in path.parents]
    downloads = data_dir / "downloads"
    return [version, *between, downloads / "extracted", downloads, data_dir]
