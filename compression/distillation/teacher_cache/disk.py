"""The outputs of any teacher for some views of its images, computed once, on disk."""

import math
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO, Any

import keras
import numpy as np
from keras import ops

from compression.arguments import require_number, shown
from compression.batches import images_of
from compression.distillation.arguments import listed, require_function, require_graph
from compression.distillation.teacher_cache import fingerprint, folders
from compression.distillation.teacher_cache.chunks import Array, Chunk, ChunkedArrays
from compression.distillation.teacher_cache.identity import identity

FORMAT = 1  # of the files; caches of another format are other caches
# Outputs may differ by so much of the largest: float16, other devices and batches.
ALIKE, LEAST = 0.05, 1e-3
ASKED = 2  # images of each compared chunk that the teacher is shown again
REFRESH = 10  # seconds between two lines on the progress


@dataclass(frozen=True)
class Views:
    """The images that a teacher is run on, each in `count` versions.

    Attributes:
        batches: function of (view, first) that gives batches of images, or of tuples
            that begin with images: that view of all images from index `first` on, in
            the order of their indices.
        images: how many there are.
        key: all that makes these views differ from others (data, split, seed,
            augmentation); JSON-able. Some images are compared with those that a cache
            of this key was made of, so they must be the same in every call.
        count: of views.
    """

    batches: Callable[[int, int], Iterable]
    images: int
    key: Any
    count: int = 1


@dataclass
class CachedOutputs:
    """A teacher's outputs on disk. No other process removes them before `close`.

    Attributes:
        outputs: name -> (views, images, ...), read-only, in the memory map; float16
            unless asked for in float32.
        computed: views of images that the teacher was run on by this call.
        reused: those that were found.
        bytes: of all files together.
        folder: where they are.
    """

    outputs: Mapping[str, np.memmap]
    computed: int
    reused: int
    bytes: int
    folder: Path
    lock: IO

    def close(self) -> None:
        """Let others remove the files; arrays that are still open stay readable."""
        self.lock.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def cached_outputs(
    teacher: keras.Model,
    views: Views,
    *,
    root: Path,
    budget: int | None = None,
    float32: Collection[str] = (),
    log: Callable[[str], None] = print,
) -> CachedOutputs:
    """The teacher's outputs for all views, from disk where they are known already.

    A folder of `root` belongs to one teacher (structure and weights), its outputs, one
    `views.key` and format; every byte of it is checked here, and what is missing or
    damaged is computed. The first images, some and the last ones are compared with
    those that it was made of, and what the teacher gives for them with what it gave.
    What a killed call has computed is there for the next
    one. Processes that need the same cache wait for each other.

    Args:
        teacher: functional model whose output is a dict of tensors, or one tensor,
            which is then called "teacher_logits".
        views: of its images.
        root: a folder for caches; others in it may be removed, see `budget`.
        budget: bytes that all caches in `root` may have together: those that were
            used longest ago and are not in use make room. None: what the disk has.
        float32: outputs to be stored in float32, with twice the bytes; the others
            are rounded to float16.
        log: gets the lines on size and progress.

    Raises:
        ValueError: the teacher has other outputs than that; there is no room; a value
            is not finite, or not so in float16; `views.batches` gives too few or too
            many images, or others than those that the folder was made of; a function
            in the teacher is another one than it was then.
        TypeError: JSON cannot hold `views.key`.
    """
    teacher = _with_named_outputs(teacher)
    _check(views, root, budget, log)
    float32 = listed("float32", float32, "names of outputs")
    arrays = _arrays(teacher, views, float32)
    about = {
        "what": "outputs of a teacher, by limbeck; may be deleted when not in use",
        "format": FORMAT,
        "views": views.key,
    }
    described = {name: list(array) for name, array in arrays.items()}
    key = identity(teacher, [about, described])
    store = ChunkedArrays(Path(root).expanduser() / key, arrays, key, about)
    with folders.building(store.folder, log):
        log(f"  teacher cache: {_size_in_words(views, arrays, store)}")
        sound = _sound(store, log)
        _require_same(teacher, views, store, sound)
        todo = [n for n in range(len(store.chunks)) if n not in set(sound)]
        if todo or not store.in_shape():
            with folders.room_for(store.folder, store.bytes, budget):
                store.prepare()
            store.keep(sound)
            _build(teacher, views, store, todo, log)
            if not sound:
                _require_settled(views, store)
        lock = folders.in_use(store.folder)
    computed = _rows(store, todo)
    return CachedOutputs(
        store.opened(),
        computed=computed,
        reused=views.count * views.images - computed,
        bytes=store.bytes,
        folder=store.folder,
        lock=lock,
    )


def _check(views, root, budget, log):
    if not isinstance(views, Views):
        raise ValueError(
            "views must be a Views(batches, images, key, count) object, got "
            f"{shown(views)}"
        )
    require_function("views.batches", views.batches, "(view, first)")
    require_number("views.images", views.images, whole=True)
    require_number("views.count", views.count, whole=True)
    if not isinstance(root, str | os.PathLike):
        raise ValueError(f"root must be the path of a folder, got {shown(root)}")
    if budget is not None and not (isinstance(budget, float) and budget == math.inf):
        require_number("budget", budget, kind="a number of bytes, or None")
    require_function("log", log, "a line")


def _with_named_outputs(teacher):
    require_graph(teacher, "teacher")
    if len(teacher.inputs) != 1:
        raise ValueError(
            f"teacher {teacher.name!r} has {len(teacher.inputs)} inputs, but gets "
            "images only: build a model with one input"
        )
    if isinstance(teacher, keras.Sequential):  # which has no output of its own
        teacher = keras.Model(teacher.inputs[0], teacher.outputs[0], name=teacher.name)
    output = teacher.compute_output_spec(teacher.input)
    if isinstance(output, keras.KerasTensor):
        return keras.Model(teacher.input, {"teacher_logits": teacher.output})
    if isinstance(output, dict) and all(
        isinstance(part, keras.KerasTensor) for part in output.values()
    ):
        return teacher
    raise ValueError(
        f"the output of teacher {teacher.name!r} must be one tensor, or a dict of them"
    )


def _arrays(teacher, views, float32):
    if views.images < 1 or views.count < 1:
        raise ValueError(
            f"there must be images and views, got {views.count} views of "
            f"{views.images} images"
        )
    outputs = teacher.compute_output_spec(teacher.input)
    unknown = [n for n in float32 if not isinstance(n, str) or n not in outputs]
    if unknown:
        raise ValueError(
            f"float32 names no outputs {unknown}; there are {sorted(outputs)}"
        )
    arrays = {}
    for name, output in outputs.items():
        if None in output.shape[1:]:
            raise ValueError(f"output {name!r} needs a fixed size, got {output.shape}")
        shape = (views.count, views.images, *output.shape[1:])
        arrays[name] = Array(shape, "float32" if name in float32 else "float16")
    return arrays


def _size_in_words(views, arrays, store):
    outputs = " + ".join(
        f"{name} {'x'.join(map(str, array.shape[2:]))}"
        for name, array in arrays.items()
    )
    return (
        f"{views.count} view{'s' * (views.count > 1)} x {views.images:,} images, "
        f"{outputs}: "
        f"{folders.in_words(store.bytes)} in {store.folder} "
        f"({folders.in_words(shutil.disk_usage(store.folder).free)} free)"
    )


def _sound(store, log):
    """Chunks that need not be computed; logs what was found."""
    if not store.is_ours():
        if not store.is_empty():
            log("  the folder holds another cache: all is computed again")
        return []
    sound, finished = store.sound(), store.finished()
    total = len(store.chunks)
    if store.has_old_lines():
        log("  parts without fingerprints of their images are computed again")
    if len(sound) < len(finished):
        damaged = len(finished) - len(sound)
        log(f"  {damaged} of {total} parts are damaged and computed again")
    elif len(sound) < total:
        log(f"  continues after an interruption, {len(sound)} of {total} parts done")
    else:
        log("  complete, every byte checked: the teacher need not run")
    return sound


def _build(teacher, views, store, todo, log):
    start = logged = time.perf_counter()
    done, total = 0, _rows(store, todo)
    for numbers in _runs(store, todo):
        for number, (rows, prints) in zip(
            numbers, _cut(teacher, views, store, numbers), strict=True
        ):
            store.write(number, rows, prints)
            done += _rows(store, [number])
            now = time.perf_counter()
            if now - logged > REFRESH:
                logged, rate = now, done / (now - start)
                log(
                    f"  {done:,} of {total:,} views of images, {rate:,.0f} a second, "
                    f"{(total - done) / rate:,.0f} s left"
                )


def _rows(store, numbers):
    return sum(store.chunks[n].stop - store.chunks[n].start for n in numbers)


def _runs(store, numbers):
    """`numbers` in groups that one pass over a view can compute: without a gap."""
    groups = groupby(
        enumerate(numbers), lambda pair: (pair[1] - pair[0], store.chunks[pair[1]].view)
    )
    return [[number for _, number in group] for _, group in groups]


def _ends(chunk: Chunk) -> dict[str, range]:
    """The images at both ends of a chunk, whose fingerprints are kept."""
    _, start, stop = chunk
    count = fingerprint.IMAGES
    return {
        "first": range(start, min(start + count, stop)),
        "last": range(max(start, stop - count), stop),
    }


def _require_same(teacher, views, store, sound):
    """Compare some images, and their outputs, with those of the sound chunks."""
    if not sound:
        return
    finished = store.finished()
    middle = sound[len(sound) // 2]
    compared = (sound[0], "first"), (middle, "first"), (sound[-1], "last")
    for number, end in dict.fromkeys(compared):
        chunk = store.chunks[number]
        indices = _ends(chunk)[end]
        batches = views.batches(chunk.view, indices.start)
        images = fingerprint.first_images(batches, len(indices))
        found = fingerprint.fingerprints(images)
        if not fingerprint.agree(found, finished[number].note[end]):
            raise ValueError(
                f"{store.folder} was made of other images than views.batches"
                f"({chunk.view}, {indices.start}) gives now, under the same views.key "
                f"{shown(views.key)}: let the key name all that makes images differ, "
                "and batches give the same images in every call; or delete the folder"
            )
        if store.in_shape():
            _require_same_outputs(teacher, images, store, chunk.view, indices)


def _require_same_outputs(teacher, images, store, view, indices):
    """What functions in a teacher do is seen by its outputs alone."""
    images = images[:ASKED]
    given = teacher(ops.convert_to_tensor(images), training=False)
    for name, kept in store.opened().items():
        kept = kept[view, indices.start : indices.start + len(images)]
        kept = kept.astype(np.float32)
        now = np.asarray(given[name], np.float32)
        if np.abs(now - kept).max() > ALIKE * max(np.abs(kept).max(), LEAST):
            raise ValueError(
                f"{store.folder} holds what a teacher of the same structure and "
                f"weights gave, and it gives others now, of {name!r}: a function in "
                "it, of a Lambda, an activation or a layer, has changed; delete the "
                "folder"
            )


def _require_settled(views, store):
    """Raises ValueError where the first images are others each time: shuffled ones."""
    indices = _ends(store.chunks[0])["first"]
    again = fingerprint.first_images(views.batches(0, 0), len(indices))
    kept = store.finished()[0].note["first"]
    if not fingerprint.agree(fingerprint.fingerprints(again), kept):
        store.keep([])
        raise ValueError(
            "views.batches(0, 0) gives other images each time that it is called: what "
            "is cached belongs to images by their order, so do not shuffle them, and "
            "seed what augments them"
        )


def _cut(teacher, views, store, numbers) -> Iterator[tuple[dict, dict]]:
    """Of each of these chunks the rows, as they are stored, and the fingerprints.

    In one pass over a view.
    """
    view, first, _ = store.chunks[numbers[0]]
    batches = iter(views.batches(view, first))
    outputs, waiting, begin = [], 0, first  # rows from index `begin` on
    ends = {number: _ends(store.chunks[number]) for number in numbers}
    wanted = {i for each in ends.values() for end in each.values() for i in end}
    prints = {}  # by image
    for number in numbers:
        end = store.chunks[number].stop
        while begin + waiting < end:
            batch = next(batches, None)
            if batch is None:
                raise ValueError(
                    f"batches({view}, {first}) must go on to image {views.images - 1}, "
                    f"ended with {begin + waiting - 1}"
                )
            images = images_of(batch)
            at = [i for i in range(len(images)) if begin + waiting + i in wanted]
            if at:
                found = fingerprint.fingerprints(images[at])
                prints |= zip((begin + waiting + i for i in at), found, strict=True)
            outputs.append(_outputs(teacher, images, store.arrays))
            waiting += len(next(iter(outputs[-1].values())))
        joined = {n: np.concatenate([a[n] for a in outputs]) for n in store.arrays}
        size = end - begin
        noted = {end: [prints[i] for i in span] for end, span in ends[number].items()}
        yield {name: rows[:size] for name, rows in joined.items()}, noted
        outputs = [{name: rows[size:] for name, rows in joined.items()}]
        waiting, begin = waiting - size, end
    if end == views.images and (waiting or next(batches, None) is not None):
        raise ValueError(
            f"batches({view}, {first}) must end with image {views.images - 1}, went on"
        )


def _outputs(teacher, images, arrays):
    """The teacher's outputs for a batch, in the dtypes of `arrays`."""
    outputs = teacher.predict_on_batch(ops.convert_to_tensor(images))
    return {
        name: _rounded(name, np.asarray(outputs[name]), array.dtype)
        for name, array in arrays.items()
    }


def _rounded(name, values, dtype):
    with np.errstate(over="ignore"):
        rounded = values.astype(dtype)
    if not np.isfinite(rounded).all():
        values = values.astype(np.float32)
        if np.isfinite(values).all():
            raise ValueError(
                f"output {name!r} reaches {np.abs(values).max():.3g}, but float16 ends "
                f"at 65504: cache it with float32=[{name!r}], or let the teacher run "
                "in every step"
            )
        raise ValueError(f"output {name!r} of the teacher is NaN or infinite")
    return rounded
