"""Profiles of a model and its files against scores of their own answers."""

import importlib.util
import json

import numpy as np
import pytest
from keras import layers

from compression import export, measure
from tests.compression.small_nets import alexnet, on_images


def test_profile_of_a_model_and_its_files(tmp_path):
    model = alexnet()
    generator = np.random.default_rng(0)
    images = generator.normal(size=(24, 28, 28, 1)).astype(np.float32)
    logits = model.predict(images, verbose=0)
    labels = logits.argmax(axis=1)
    labels[:6] = (labels[:6] + 1) % 10
    batches = [(images[:10], labels[:10]), (images[10:], labels[10:])]
    np.testing.assert_allclose(measure.logits(model, batches), logits, atol=1e-5)
    np.testing.assert_allclose(measure.logits(model, [images]), logits, atol=1e-5)

    file = export.litert(
        model, tmp_path / "net.tflite", precision="int8", calibration=batches
    )
    folder = export.saved_model(model, tmp_path / "net")
    for kind, subject in {
        "keras": model,
        "litert": file,
        "saved_model": folder,
    }.items():
        # An iterator: the images can be had once only.
        got = measure.profile(subject, iter(batches), reference=model)
        assert got.kind == kind
        assert got.examples == 24
        own = measure.logits(subject, [images])
        assert got.top1 == np.mean(own.argmax(axis=1) == labels)
        assert got.loss == pytest.approx(measure.cross_entropy(own, labels))
        assert got.agreement == np.mean(own.argmax(1) == logits.argmax(1))
        wrong = own.argmax(1) != labels
        assert got.errors == wrong.sum() == round((1 - got.top1) * 24)
        assert got.errors_by_class == [(labels[wrong] == c).sum() for c in range(10)]
        assert got.top1 <= got.top5 <= 1
        assert 0 < got.latency_low_ms <= got.latency_ms <= got.latency_high_ms
        assert json.loads(json.dumps(got.as_row())) == got.as_row()
        if kind != "litert":
            assert (got.top1, got.agreement) == (0.75, 1.0)
        board = measure.board(file) if kind == "litert" else measure.Board()
        assert (got.arena_bytes, got.board_refusal) == (
            board.arena_bytes,
            board.refusal,
        )
        assert kind != "litert" or bool(board.arena_bytes) != bool(board.refusal)
        if kind != "keras":
            assert got.bytes == measure.size(subject)
    options = {"latency": False, "arena": False}
    by_logits = measure.profile(file, batches, reference=logits, **options)
    assert by_logits.arena_bytes is by_logits.board_refusal is None
    by_file = measure.profile(model, batches, reference=file, latency=False)
    assert by_logits.agreement == by_file.agreement
    assert by_logits.latency_ms is None


def test_without_a_wheel_the_arena_is_empty_and_says_why(tmp_path, monkeypatch):
    file = export.litert(on_images(layers.Flatten()), tmp_path / "net.tflite")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    got = measure.profile(file, latency=False)
    assert (
        got.arena_bytes is None and "tflite-micro is not installed" in got.board_refusal
    )


def test_profile_without_data():
    got = measure.profile(on_images(layers.Flatten(), layers.Dense(3)), latency=False)
    assert (got.parameters, got.macs) == (256 * 3 + 3, 256 * 3)
    assert {got.top1, got.top5, got.loss, got.agreement, got.examples} == {None}
    assert {got.latency_ms, got.latency_low_ms, got.latency_high_ms} == {None}


def test_five_classes_have_no_top5():
    model = on_images(layers.Flatten(), layers.Dense(5))
    data = [(np.zeros((2, 8, 8, 4)), np.zeros((2, 1), int))]
    got = measure.profile(model, data, latency=False)
    assert (got.top1, got.top5) == (1.0, None)


def test_profile_checks_its_data():
    model = on_images(layers.Flatten())
    with pytest.raises(ValueError, match="reference needs data"):
        measure.profile(model, reference=model)
    with pytest.raises(ValueError, match=r"batches \(images, labels\)"):
        measure.profile(model, [np.zeros((2, 8, 8, 4))], latency=False)
    with pytest.raises(ValueError, match="data holds no batches"):
        measure.profile(model, [], latency=False)
    with pytest.raises(FileNotFoundError, match="no model at"):
        measure.profile("nowhere.tflite")
