"""Makes somebody's net small enough: searches, trains, and writes the file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import optuna

from compression import export, measure
from compression.arguments import as_path
from compression.atomic import naming, replacing
from compression.export.archive.rebuilding import comparable
from compression.one_line import first_line
from experiments.data.pipeline import evaluation_batches
from experiments.deployment import Deployment
from experiments.files import write_json
from experiments.runs.alone import alone
from experiments.runs.identity import require_free
from experiments.runs.layout import RunFolder
from experiments.runs.run import run
from experiments.search.candidate import Candidate
from experiments.search.chosen import Choice, best_file, next_steps
from experiments.search.files import Written
from experiments.search.limits import Limits
from experiments.search.request import Request
from experiments.search.search import AWARE, POST, WHOLE, Search
from experiments.search.trials import without_password
from experiments.stages.file import File

NAME = "net"  # of the files that are taken
OTHER_OUT = "give another out, or remove the folder"


@dataclass(frozen=True)
class Compressed:
    """What came of a search.

    Attributes:
        file: the .tflite file that was taken; a C header and NAME.deploy.json lie
            beside it.
        words: what it is.
        why: it was taken.
        bytes, latency_ms, macs, arena_bytes, bytes_zipped: what it takes; the last two
            where they were limited.
        validation_top1: of the file; it was chosen by that.
        test_top1: of the file, looked at once.
        model_top1: of the given model, on the same test images.
        steps: what a little more, or less, would cost, in words.
    """

    file: Path
    words: str
    why: str
    bytes: int
    latency_ms: float
    macs: int
    arena_bytes: int | None
    validation_top1: float
    test_top1: float
    model_top1: float
    steps: tuple[str, ...]
    bytes_zipped: int | None = None


def compress(  # noqa: PLR0913, a limit each
    model: str | Path | keras.Model,
    data: str,
    *,
    max_drop: float | None = None,
    bytes: int | None = None,
    latency_ms: float | None = None,
    arena_bytes: int | None = None,
    macs: int | None = None,
    bytes_zipped: int | None = None,
    hours: float = 1.0,
    out: str | Path = "runs/compress",
    seed: int = 0,
    image_size: int | None = None,
    storage: str | None = None,
) -> Compressed:
    """Search for a small net in place of `model`, train it and write its int8 file.

    What is searched: which channels the model can lose (budget, saliency), students of
    the catalogue that it teaches, weights of 8 or 4 bits and, where zipped bytes are
    limited, of which many are zero. Cuts are judged untrained,
    the promising ones trained for a short time, one of them in full, with the rounding
    of its file at the end. Choices are made by validation images.

    With limits on the file alone the most accurate one that meets them is taken; with
    `max_drop` the smallest one that keeps it; with neither, `max_drop` is 0.5.

    Args:
        model: a classifier, or its .keras file.
        data: name of the dataset, as `experiments.data.load` takes it: "cifar10",
            "folder:PATH" and others.
        max_drop: percentage points of validation top-1 that may be lost.
        bytes: of the .tflite file.
        latency_ms: of one image by LiteRT on this machine, one thread.
        arena_bytes: RAM in TensorFlow Lite Micro.
        macs: multiply-accumulates of one image.
        bytes_zipped: of the .tflite file after deflate, as it travels in an app's
            package; with `max_drop`, the smallest file is then the smallest zipped.
        hours: that it may take, within about a tenth.
        out: run folder; the same call goes on there where it was interrupted.
        seed: of all randomness.
        image_size: pixels a side; None: as stored.
        storage: URL of a database that several machines share for the trials; None:
            a file in `out`.

    Raises:
        ValueError: no file meets the limits (says what can be had), the model and data
            do not fit, or the model scores as by chance.
        FileNotFoundError: there is no such file or dataset.
    """
    out = as_path(out)
    if isinstance(model, keras.Model):
        model = _kept(model, out)
    limits = Limits(bytes, latency_ms, arena_bytes, macs, max_drop, bytes_zipped)
    request = Request(
        File(str(model)), data, limits, hours, seed, image_size=image_size
    )
    return carry_out(request, out, storage=storage)


def carry_out(
    request: Request, out: Path, *, storage: str | None = None, command: str = ""
) -> Compressed:
    """Do what is asked in the run folder `out`; see `compress`.

    Args:
        request: what is asked for.
        out: the run folder.
        storage: as `compress` takes it.
        command: how a person would ask for this, for the record; a password in it is
            left out.
    """
    command = without_password(command)
    folder = RunFolder(out)
    if folder.recipe.exists() and not folder.search.request.is_file():
        raise ValueError(f"{out} holds a run that is no search; {OTHER_OUT}")
    if not folder.recipe.exists():  # better known now than after half of the time
        require_free(folder)
    search = Search(request, folder.search, storage)
    try:
        with alone(folder), naming(folder.search.path):
            recipe = search.recipe()
        run(recipe, out, seeds=(request.seed,), command=command)
    except KeyboardInterrupt:
        _rescue(search, folder)
        raise
    except optuna.exceptions.StorageInternalError as error:
        raise ValueError(
            f"the storage of the search has failed: {first_line(error)}; the same call "
            "goes on when it is back"
        ) from error
    return _taken(search, folder)


def _taken(search, folder):
    """The best file, put in its place, and what it does on test images."""
    written = _written(search, folder)
    try:
        choice = best_file(written, search.request.limits, search.reference)
    except ValueError:
        _note(search, folder, written, None)
        raise
    _note(search, folder, written, choice)
    test = evaluation_batches(search.whole_data, "test")
    file, cost = choice.file, choice.file.cost
    return Compressed(
        _put(search, folder, file),
        file.candidate.words,
        choice.why,
        cost.bytes,
        cost.latency_ms,
        cost.macs,
        cost.arena_bytes,
        file.top1,
        measure.profile(file.path, test, latency=False, arena=False).top1,
        measure.profile(search.model, test, latency=False, arena=False).top1,
        next_steps(written, file, search.request.limits),
        cost.bytes_zipped,
    )


def _rescue(search, folder):
    """Interrupted: the best file so far is put where the final one would be."""
    try:
        written = _written(search, folder)
        file = best_file(written, search.request.limits, search.reference).file
    except (ValueError, OSError):
        return  # nothing yet
    path = _put(search, folder, file)
    print(
        f"\nthe best so far, {file.candidate.words}, {file.top1:.2%} on validation: "
        f"{path}",
        flush=True,
    )


def _written(search, folder) -> Sequence[Written]:
    """Every file there is that could be taken."""
    found = []
    for tried in search.trained:
        path = folder.search.trial(tried.number).exported("litert", "int8")
        if tried.result is None or not path.is_file():  # on another machine
            continue
        top1 = tried.result.top1
        found.append(Written("short training", path, tried.candidate, tried.cost, top1))
    candidates = {WHOLE: Candidate()}
    if search.candidate is not None:
        candidates |= dict.fromkeys((POST, AWARE), search.candidate)
    for name, candidate in candidates.items():
        home = folder.stage(name, search.request.seed)
        path = home.exported("litert", "int8")
        if not home.path.exists():
            continue
        cost = search.files.cost(path, export.load(home.model).model)
        top1 = search.files.whole(path).top1
        found.append(Written(name, path, candidate, cost, top1))
    return found


def _put(search, folder, file):
    """The file, its C header and what an app must know, in the run folder itself."""
    path = folder.path / f"{NAME}.tflite"
    with replacing(path) as beside:
        beside.write_bytes(file.path.read_bytes())
    arena = measure.board(path).arena_bytes
    export.micro(path, path.with_suffix(".h"), arena_bytes=arena)
    Deployment.of(search.data).write_beside(path)
    return path


def _note(search, folder, written, choice: Choice | None):
    """search/found.json: all that was tried, and what was taken."""
    rows = [
        _row("untrained", tried.candidate, tried.cost, tried.result)
        for tried in search.untrained
    ]
    rows += [
        _row(file.name, file.candidate, file.cost, file)
        | {"taken": choice is not None and file is choice.file}
        for file in written
    ]
    limits = search.request.limits
    record = {
        "reference": search.reference,
        "limits": search.request.as_dict()["limits"],
        "why": None if choice is None else choice.why,
        "steps": [] if choice is None else next_steps(written, choice.file, limits),
        "tried": rows,
    }
    write_json(folder.search.found, record)


def _row(how, candidate, cost, result):
    top1 = None if result is None else result.top1
    return {"what": candidate.words, "how": how, "top1": top1} | cost.as_dict()


def _kept(model, out):
    """A model in memory, as a file: what a run starts from has a name and a print."""
    path = RunFolder(out).search.given
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with replacing(path) as file:
            model.save(file)
    elif not _same(model, export.load_model(path)):
        raise ValueError(f"{out} belongs to a search with another model; {OTHER_OUT}")
    return path


def _same(model, other):
    """Whether two models are of one architecture and have the same weights."""
    weights = model.get_weights(), other.get_weights()
    return comparable(model) == comparable(other) and all(
        np.array_equal(*pair) for pair in zip(*weights, strict=True)
    )
