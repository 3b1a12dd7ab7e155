"""`limbeck compress`: what it refuses before it works, and what it prints."""

import re

import keras
import pytest

from experiments.cli.compress import as_text
from experiments.search.compress import Compressed


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--bytes", "40k"], "it trains and judges on images: give --data"),
        (["--data", "mnist5k", "--macs", "2"], r"--macs must be in \(0, 1\], got 2.0"),
        (["--data", "mnist5k", "--hours", "0"], "hours must be positive, got 0.0"),
        (["--data", "mnist5k", "--max-drop", "-1"], "max_drop must be 0 to 100"),
        (["--data", "nowhere"], "nowhere"),
        (["--data", "digits"], "no better than guessing"),
    ],
)
def test_one_line(words, line, model_file, tmp_path, refusal):
    out = tmp_path / "run"
    message = refusal("compress", model_file, *words, "--out", out)
    assert re.search(line, message), message
    assert not (out / "net.tflite").exists()


def test_macs_of_a_net_that_leaves_its_size_open(tmp_path, refusal):
    """It is of the images' size, and has learned nothing."""
    image = keras.Input((None, None, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(image))
    keras.Model(image, keras.layers.Dense(10)(x)).save(path := tmp_path / "net.keras")
    words = ("compress", path, "--data", "digits", "--macs", "0.5")
    words += ("--out", tmp_path / "run")
    assert "open, and with it its MACs: give --image-size" in refusal(*words)
    assert "no better than guessing" in refusal(*words, "--image-size", "8")


def test_macs_of_a_net_that_was_never_built(tmp_path, refusal):
    keras.Sequential([keras.layers.Dense(3)]).save(file := tmp_path / "net.keras")
    line = refusal("compress", file, "--data", "digits", "--macs", "0.5")
    assert "model must be built and have one input, got Sequential" in line


@pytest.mark.parametrize("limit", ["40 parsecs", "-1k", "nothing"])
def test_a_limit_that_is_none(limit, model_file, refusal):
    words = ("compress", model_file, "--data", "mnist5k", f"--bytes={limit}")
    assert "argument --bytes: must be" in refusal(*words)


def test_no_such_model(tmp_path, refusal):
    line = refusal("compress", tmp_path / "no.keras", "--data", "mnist5k")
    assert "there is no model file" in line


def test_what_came_of_it_in_words(tmp_path):
    found = Compressed(
        *(tmp_path / "net.tflite", "cut to half", "the smallest of 3 files"),
        *(12_345, 0.25, 1_000_000, 16_384, 0.985, 0.98, 0.99, ("one step",)),
        bytes_zipped=9_876,
    )
    assert as_text(found).splitlines() == [
        "cut to half: the smallest of 3 files",
        "12,345 bytes, 0.250 ms, 9,876 zipped, 16,384 of RAM, 1,000,000 MACs",
        "top-1 on test: 98.00%, the model's 99.00%",
        "one step",
        str(tmp_path / "net.tflite"),
    ]
