"""The disk cache of a teacher: right after every damage, computed once."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from compression.distillation import Views, cached_outputs
from compression.distillation.teacher_cache import chunks, disk, folders
from compression.distillation.teacher_cache.identity import identity

IMAGES, VIEWS, BLOCK = 23, 2, 5  # five blocks a view, the last of three images
RNG = np.random.default_rng(0)
PIXELS = RNG.normal(size=(VIEWS, IMAGES, 6, 6, 1)).astype("float32")


def teacher(seed=0, *, activation="relu", scale=1.0, name=None):
    """A net whose layers are named by Keras, its logits and a map of features."""
    image = keras.Input((6, 6, 1))
    x = layers.Conv2D(2, 3, activation=activation)(image)
    logits = layers.Dense(3)(layers.Flatten()(x + 1.0))
    features = layers.AveragePooling2D(2)(x)
    outputs = {"teacher_logits": logits, "teacher_conv_2x2": features}
    model = keras.Model(image, outputs, name=name)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(scale * rng.normal(size=weight.shape))
    return model


def with_a_function(function, *, activation=None):
    """A teacher whose config names its functions, and does not hold them."""
    image = keras.Input((6, 6, 1))
    x = layers.Lambda(function, output_shape=(6, 6, 1), name="scale")(image)
    x = layers.Dense(3, activation=activation, kernel_initializer="ones")(x)
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


class Seen:
    """Views of PIXELS that remember which images they gave, in which passes."""

    def __init__(self, batch_size=4, stop_after=None, pixels=PIXELS):
        self.batch_size = batch_size
        self.stop_after = stop_after
        self.pixels = pixels
        self.passes = []

    @property
    def given(self):
        return [image for each in self.passes for image in each]

    def __call__(self, view, first):
        self.passes.append([])
        for start in range(first, IMAGES, self.batch_size):
            batch = self.pixels[view, start : start + self.batch_size]
            if self.stop_after is not None and len(self.given) >= self.stop_after:
                raise KeyboardInterrupt
            self.passes[-1] += [(view, start + i) for i in range(len(batch))]
            yield batch, np.zeros(len(batch))


def opened(root, *, model=None, seen=None, key="key", lines=None, **options):
    views = Views(seen or Seen(), IMAGES, key, VIEWS)
    log = (lines if lines is not None else []).append
    return cached_outputs(model or teacher(), views, root=root, log=log, **options)


def expected(model):
    flat = model.predict(PIXELS.reshape(-1, 6, 6, 1), verbose=0)
    return {n: a.reshape(VIEWS, IMAGES, *a.shape[1:]) for n, a in flat.items()}


def assert_right(cache, outputs):
    assert cache.outputs.keys() == outputs.keys()
    for name, array in outputs.items():
        np.testing.assert_allclose(cache.outputs[name], array, rtol=1e-3, atol=1e-4)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", BLOCK)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished cache, and what is in it."""
    root = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_IMAGES", BLOCK)
        with opened(root) as cache:
            held = {name: np.array(array) for name, array in cache.outputs.items()}
    return namedtuple("Whole", "root folder outputs")(root, cache.folder, held)


def test_it_holds_the_teachers_outputs_in_half_the_bytes(whole):
    assert_right(opened(whole.root), expected(teacher()))
    assert {a.dtype for a in whole.outputs.values()} == {np.dtype("float16")}
    assert whole.outputs["teacher_conv_2x2"].shape == (VIEWS, IMAGES, 2, 2, 2)


def test_the_second_time_nothing_is_computed(whole):
    seen, lines = Seen(), []
    with opened(whole.root, seen=seen, lines=lines) as cache:
        assert (cache.computed, cache.reused) == (0, VIEWS * IMAGES)
        # Only looked at, to compare: blocks of 5 in batches of 4.
        assert [len(images) for images in seen.passes] == [8, 8, 3]
        for name, array in cache.outputs.items():
            assert isinstance(array, np.memmap) and not array.flags.writeable
            np.testing.assert_array_equal(array, whole.outputs[name])
    files = cache.folder.glob("*.npy")
    assert cache.bytes == sum(path.stat().st_size for path in files)
    assert (
        "2 views x 23 images, teacher_logits 3 + teacher_conv_2x2 2x2x2: 1." in lines[0]
    )
    assert " free)" in lines[0] and "the teacher need not run" in lines[1]


@settings(max_examples=8)
@given(st.integers(1, 30), st.integers(1, 30))
def test_batches_and_blocks_need_not_fit(whole, tmp_path_factory, batch, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_IMAGES", block)
        root = tmp_path_factory.mktemp("any")
        cache = opened(root, seen=Seen(batch_size=batch))
        assert_right(cache, whole.outputs)
        assert cache.computed == VIEWS * IMAGES


def test_one_output_is_called_teacher_logits(tmp_path):
    named = teacher()
    plain = keras.Model(named.input, named.output["teacher_logits"])
    cache = opened(tmp_path, model=plain)
    [logits] = [expected(named)["teacher_logits"]]
    assert_right(cache, {"teacher_logits": logits})


def damaged(whole, tmp_path_factory):
    root = tmp_path_factory.mktemp("damaged")
    shutil.copytree(whole.root, root, dirs_exist_ok=True)
    return root, root / whole.folder.name


FILES = st.sampled_from(
    ["meta.json", "chunks.jsonl", "teacher_logits.npy", "teacher_conv_2x2.npy"]
)
ANYWHERE = st.floats(0, 1, exclude_max=True)


@settings(max_examples=24)
@given(FILES, ANYWHERE, st.sampled_from(["cut", "flip", "overwrite", "extend"]))
def test_damage_is_found_and_repaired(whole, tmp_path_factory, name, where, how):
    root, folder = damaged(whole, tmp_path_factory)
    content = bytearray((folder / name).read_bytes())
    place = int(where * len(content))
    if how == "cut":
        content = content[:place]
    elif how == "flip":
        content[place] ^= 1 << place % 8
    elif how == "overwrite":
        content[place:] = bytes(len(content) - place)
    else:
        content += content[place:]
    (folder / name).write_bytes(content)
    for repaired in (False, True):
        with opened(root) as cache:
            for output, array in whole.outputs.items():
                np.testing.assert_allclose(
                    cache.outputs[output], array, rtol=1e-3, atol=1e-4
                )
            assert not repaired or cache.computed == 0


@pytest.mark.parametrize("name", ["teacher_logits.npy", "chunks.jsonl", "meta.json"])
def test_a_missing_file_is_made_again(whole, tmp_path_factory, name):
    root, folder = damaged(whole, tmp_path_factory)
    (folder / name).unlink()
    cache = opened(root)
    assert_right(cache, whole.outputs)
    assert cache.computed == VIEWS * IMAGES


def test_a_bit_costs_one_block(whole, tmp_path_factory):
    root, folder = damaged(whole, tmp_path_factory)
    path = folder / "teacher_logits.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # the last image of the last view
    path.write_bytes(content)
    seen, lines = Seen(), []
    cache = opened(root, seen=seen, lines=lines)
    assert seen.passes[-1] == [(1, 20), (1, 21), (1, 22)]
    assert cache.computed == 3
    assert "1 of 10 parts are damaged and computed again" in lines[1]
    assert_right(cache, whole.outputs)


def test_a_foreign_cache_is_never_used(whole, tmp_path):
    """Whole folders and single files of another teacher, under our name."""
    with opened(tmp_path, model=teacher(seed=1)) as other:
        foreign = {path.name: path.read_bytes() for path in other.folder.glob("*.*")}
    ours = tmp_path / whole.folder.name
    arrays = ["teacher_logits.npy", "teacher_conv_2x2.npy"]
    for names in (foreign, arrays, ["chunks.jsonl"], ["chunks.jsonl", *arrays]):
        shutil.rmtree(ours, ignore_errors=True)
        shutil.copytree(whole.folder, ours)
        for name in names:
            (ours / name).write_bytes(foreign[name])
        with opened(tmp_path) as cache:
            assert cache.folder == ours
            assert cache.computed == VIEWS * IMAGES
            assert_right(cache, whole.outputs)


@pytest.mark.parametrize(
    "options",
    [
        {"model": teacher(seed=1)},
        {"key": {"seed": 1}},
        {"key": {"augment": {"pad": 2}}},
        {"float32": ["teacher_logits"]},
        {"model": teacher(activation="tanh")},  # the same weights
    ],
    ids=["weights", "seed", "augmentation", "dtype", "structure"],
)
def test_other_teachers_views_or_dtypes_have_caches_of_their_own(
    whole, tmp_path, options
):
    shutil.copytree(whole.root, tmp_path, dirs_exist_ok=True)
    cache = opened(tmp_path, **options)
    assert cache.folder.name != whole.folder.name
    assert cache.computed == VIEWS * IMAGES
    assert_right(cache, expected(options.get("model") or teacher()))


def test_numbers_in_layer_names_do_not_matter():
    first = identity(teacher(), 0)
    assert identity(teacher(), 0) == first  # other numbers, such as conv2d_17
    model = teacher()
    kernel = model.weights[0]
    value = keras.ops.convert_to_numpy(kernel).copy()
    value.flat[0] = np.nextafter(value.flat[0], 9)
    kernel.assign(value)
    assert identity(model, 0) != first


def test_every_weight_counts_frozen_ones_and_statistics_too():
    vector = keras.Input((4,))
    model = keras.Model(vector, layers.BatchNormalization()(layers.Dense(3)(vector)))
    model.trainable = False
    found = {identity(model, 0)}
    for weight in model.weights:
        weight.assign(weight + 1)
        found.add(identity(model, 0))
    assert len(found) == 1 + len(model.weights)


@pytest.mark.parametrize("stop_after", [1, 3, 8, 23, 27, 40])
def test_interrupted_building_continues(whole, tmp_path, stop_after, monkeypatch):
    monkeypatch.setattr(disk, "_require_same", lambda *_: None)
    first, second, lines = Seen(stop_after=stop_after), Seen(), []
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path, seen=first)
    cache = opened(tmp_path, seen=second, lines=lines)
    kept = VIEWS * IMAGES - cache.computed
    assert len(first.given) - BLOCK < kept <= len(first.given)
    if not kept:
        second.passes.pop()  # only looked at, to compare
    assert len(second.given) == cache.computed
    assert cache.reused == kept
    assert "continues after an interruption" in lines[1]
    assert_right(cache, whole.outputs)


KILLED = """
import os, signal
import test_teacher_cache as here
here.chunks.CHUNK_IMAGES = here.BLOCK
class Killing(here.Seen):
    def __call__(self, view, first):
        for batch in super().__call__(view, first):
            if len(self.given) > 32:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch
here.opened({root!r}, seen=Killing())
"""


@pytest.mark.slow
def test_a_killed_builder_leaves_its_work(whole, tmp_path):
    root = Path(__file__).parents[3]
    path = f"{root}{os.pathsep}{Path(__file__).parent}"
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(root=str(tmp_path))],
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == -signal.SIGKILL
    seen = Seen()
    cache = opened(tmp_path, seen=seen)
    # 23 images of the first view and the first block of the second were written.
    assert seen.passes[-1] == [(1, i) for i in range(5, IMAGES)]
    assert_right(cache, whole.outputs)


def test_a_line_that_was_cut_costs_its_block_only_once(whole, tmp_path_factory):
    root, folder = damaged(whole, tmp_path_factory)
    path = folder / "chunks.jsonl"
    path.write_bytes(path.read_bytes()[:-4])
    assert opened(root).computed == 3
    assert opened(root).computed == 0


@pytest.mark.parametrize(
    "where", [(0, 0), (1, 0), (1, IMAGES - 1)], ids=["first", "second view", "last"]
)
def test_other_images_under_the_same_key_are_refused(tmp_path, where, monkeypatch):
    others = PIXELS.copy()
    others[where][2, 3] += 0.01  # one pixel
    monkeypatch.setattr(chunks, "CHUNK_IMAGES", IMAGES)  # a chunk is a view
    opened(tmp_path).close()
    with pytest.raises(
        ValueError, match=r"of other images than views.batches\(.* 'key': let the key"
    ) as raised:
        opened(tmp_path, seen=Seen(pixels=others))
    assert str(tmp_path) in str(raised.value)
    assert opened(tmp_path).computed == 0  # nothing was changed


def test_other_images_do_not_continue_an_interrupted_cache(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        opened(tmp_path, seen=Seen(stop_after=8))
    with pytest.raises(ValueError, match="was made of other images"):
        opened(tmp_path, seen=Seen(pixels=PIXELS[::-1]))


def test_images_that_are_rounded_otherwise_are_the_same(whole):
    noise = 1 + 1e-7 * np.random.default_rng(1).normal(size=PIXELS.shape)
    seen = Seen(pixels=(PIXELS * noise).astype("float32"))
    assert not np.array_equal(seen.pixels, PIXELS)
    assert opened(whole.root, seen=seen).computed == 0


def test_a_cache_without_fingerprints_is_computed_again(whole, tmp_path_factory):
    """As earlier versions wrote it: each line was a number and its checksums."""
    root, folder = damaged(whole, tmp_path_factory)
    path, lines = folder / "chunks.jsonl", []
    old = [json.dumps(json.loads(s)[:2]) for s in path.read_text().splitlines()]
    path.write_text("\n".join(old) + "\n")
    others = np.random.default_rng(1).normal(size=PIXELS.shape).astype("float32")
    seen = Seen(pixels=others)
    with opened(root, seen=seen, lines=lines) as cache:
        assert cache.computed == VIEWS * IMAGES
        first = teacher().predict(others[0], verbose=0)["teacher_logits"]
        np.testing.assert_allclose(
            cache.outputs["teacher_logits"][0], first, rtol=1e-3, atol=1e-3
        )
    assert any("parts without fingerprints of their images" in line for line in lines)


def test_a_second_process_waits_for_the_first(whole, tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def slowly(view, first):
        begun.set()
        assert go_on.wait(60)
        yield from Seen()(view, first)

    caches, lines = [], []
    builder = threading.Thread(
        target=lambda: caches.append(opened(tmp_path, seen=slowly))
    )
    builder.start()
    assert begun.wait(60)

    def log(line):
        lines.append(line)
        go_on.set()  # the first line is that it waits

    views = Views(Seen(), IMAGES, "key", VIEWS)
    second = cached_outputs(teacher(), views, root=tmp_path, log=log)
    builder.join()
    assert "waiting for another process" in lines[0]
    assert (caches[0].computed, second.computed) == (VIEWS * IMAGES, 0)
    assert_right(second, whole.outputs)


def test_the_oldest_unused_cache_is_removed_for_room(whole, tmp_path):
    names = {}
    for age, key in enumerate(["oldest", "older", "old"]):
        with opened(tmp_path, key=key) as cache:
            names[key] = cache.folder
        os.utime(cache.folder / "meta.json", (1000 + age, 1000 + age))
    size = sum(path.stat().st_size for path in cache.folder.iterdir())
    budget = 3 * size + cache.bytes - 1
    (tmp_path / "notes.txt").write_text("not ours")
    (tmp_path / "photos").mkdir()
    with opened(tmp_path, key="oldest") as used:  # "older" was used longest ago now
        opened(tmp_path, key="new", budget=budget)
        left = {key for key, folder in names.items() if folder.exists()}
        assert left == {"oldest", "old"}
        os.utime(used.folder / "meta.json", (1, 1))
        opened(tmp_path, key="newer", budget=budget)
        left = {key for key, folder in names.items() if folder.exists()}
        assert left == {"oldest"}  # in use
        assert_right(used, whole.outputs)
    assert (tmp_path / "notes.txt").exists() and (tmp_path / "photos").exists()


def test_no_room(whole, tmp_path, monkeypatch):
    size = r"1\.\d+ kB"
    with pytest.raises(
        ValueError,
        match=rf"needs {size}, its budget in .* is 1 kB: allow a larger budget, ask "
        "for fewer views, or for views=None",
    ):
        opened(tmp_path, budget=1000)
    with opened(tmp_path, key="used") as used:
        with pytest.raises(ValueError, match="is 2 kB and the rest is in use: allow"):
            opened(tmp_path, budget=2000)
        assert_right(used, whole.outputs)
    with opened(tmp_path, budget=2000) as cache:
        assert not used.folder.exists()
        assert cache.computed == VIEWS * IMAGES
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(folders.shutil, "disk_usage", lambda path: usage(300_000))
    with pytest.raises(ValueError, match="300 kB are free in .* choose another disk"):
        opened(tmp_path / "full")
    assert opened(tmp_path, budget=1).computed == 0  # what is there costs nothing


def test_what_float16_cannot_hold_is_refused(tmp_path):
    model = teacher(scale=200.0)
    largest = abs(expected(model)["teacher_logits"]).max()
    assert largest > 65504
    match = r"'teacher_logits' reaches .* float16 ends at 65504: .*float32=\['teacher_l"
    with pytest.raises(ValueError, match=match):
        opened(tmp_path, model=model)
    cache = opened(tmp_path, model=model, float32=["teacher_logits"])
    assert cache.outputs["teacher_logits"].dtype == np.float32
    assert cache.outputs["teacher_conv_2x2"].dtype == np.float16
    assert abs(cache.outputs["teacher_logits"]).max() == pytest.approx(largest)
    model.weights[-1].assign(np.full(3, np.nan))
    with pytest.raises(ValueError, match="of the teacher is NaN or infinite"):
        opened(tmp_path, model=model)


def test_other_bad_input(tmp_path):
    few, many = Seen(), Seen()
    views = Views(lambda view, first: list(few(view, first))[:2], IMAGES, "few", 1)
    with pytest.raises(ValueError, match="must go on to image 22, ended with 7"):
        cached_outputs(teacher(), views, root=tmp_path)
    views = Views(many, IMAGES - 1, "many", 1)
    with pytest.raises(ValueError, match="must end with image 21, went on"):
        cached_outputs(teacher(), views, root=tmp_path)
    with pytest.raises(ValueError, match="got 0 views of 22 images"):
        cached_outputs(teacher(), dataclasses.replace(views, count=0), root=tmp_path)
    with pytest.raises(ValueError, match=r"no outputs \['hint'\]; there are \['tea"):
        opened(tmp_path, float32=["hint"])
    image = keras.Input((6, 6, 1))
    several = keras.Model(image, [image, image], name="several")
    with pytest.raises(ValueError, match="'several' must be one tensor, or a dict"):
        opened(tmp_path, model=several)
    with pytest.raises(ValueError, match="'raw' must be a built functional"):
        opened(tmp_path, model=keras.Sequential([layers.Dense(3)], name="raw"))
    image = keras.Input((None, None, 1))
    with pytest.raises(ValueError, match="'teacher_logits' needs a fixed size"):
        opened(tmp_path, model=keras.Model(image, layers.Conv2D(1, 3)(image)))
    with pytest.raises(TypeError, match="not JSON serializable"):
        opened(tmp_path, key={1, 2})


def test_images_in_another_order_each_time_are_refused(tmp_path):
    shuffling = np.random.default_rng(1)

    def batches(view, first):
        return [PIXELS[view, first:][shuffling.permutation(IMAGES - first)]]

    for _ in range(2):  # nothing of them is kept
        with pytest.raises(ValueError, match="gives other images each time"):
            opened(tmp_path, seen=batches)
    opened(tmp_path).close()


def test_a_batch_may_be_a_dict_with_images(tmp_path):
    with pytest.raises(ValueError, match="a batch must be images or a tuple"):
        opened(tmp_path, seen=lambda view, first: [{"pixels": PIXELS[view, first:]}])
    opened(tmp_path, seen=lambda view, at: [{"image": PIXELS[view, at:]}]).close()


def test_another_function_of_the_same_name_is_another_teacher(tmp_path):
    def scale(x):
        return x / 2.0

    before = with_a_function(scale)
    with opened(tmp_path, model=before) as first:
        kept = np.array(first.outputs["teacher_logits"])
    with opened(tmp_path, model=before) as again:
        assert again.computed == 0

    def scale(x):
        return x / 2.0 + 1.0

    with pytest.raises(ValueError, match=r"gives others now.*a function in it.*delete"):
        opened(tmp_path, model=with_a_function(scale))
    # What is there is still that of the first.
    with opened(tmp_path, model=before) as again:
        np.testing.assert_array_equal(again.outputs["teacher_logits"], kept)


def test_a_teacher_may_be_sequential(tmp_path):
    plain = [layers.Flatten(), layers.Dense(3)]
    model = keras.Sequential([keras.Input((6, 6, 1)), *plain])
    with opened(tmp_path, model=model) as cache:
        [logits] = cache.outputs.values()
        expected = [model.predict(view, verbose=0) for view in PIXELS]
        np.testing.assert_allclose(logits, expected, rtol=2e-3, atol=2e-3)
