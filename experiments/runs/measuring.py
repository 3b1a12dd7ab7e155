"""Measures finished stages together: every exported file, on the test images, once."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from compression import export, measure
from compression.answers import two_classes
from compression.atomic import naming
from compression.graph import all_layers
from compression.measure.macs import total_macs
from experiments.data import Data, pipeline
from experiments.files import write_json
from experiments.runs.fingerprints import of_file
from experiments.runs.first_filters import first_filters
from experiments.runs.layout import MeasureFolder, RunFolder, StageFolder
from experiments.runs.measured_before import measured_before
from experiments.stages.base import Stage

ON_BOARD = 4  # images that are shown to a board's interpreter: its kernels are slow
MOST_MACS = 1e9  # of one image, for the same reason
SHOWN = 12  # images in the report's strip of disagreements


def measured_rows(
    stages: Mapping[Stage, StageFolder],
    data: Data,
    folder: MeasureFolder,
    run: RunFolder,
) -> list[dict[str, Any]]:
    """One row a stage: what its model is, and what its files do on the test images.

    Latencies of all files are taken in turns, because a machine's clock drifts. The
    first file of a stage stands for it; all stand under "files". What another seed has
    measured of a stage that all seeds share is taken from there.

    Args:
        stages: finished ones, each with its folder.
        data: the dataset; its test split is looked at here and nowhere else.
        folder: where answers, kernels and images of disagreement are written.
        run: the run folder; rows name files relative to it.
    """
    test = pipeline.evaluation_batches(data, "test")
    few = next(iter(test.as_numpy_iterator()))[0][:ON_BOARD]
    runners = {
        (stage.name, form): export.load(home.exported(form.format, form.precision))
        for stage, home in stages.items()
        for form in stage.exports
    }
    latencies = measure.latencies(runners)
    before = measured_before(run, {stage.name for stage in stages if stage.once})
    rows, logits, answers, filters, kernels = [], {}, {}, {}, {}
    for stage, home in stages.items():
        model = export.load(home.model)
        filters[stage.name] = first_filters(model.model)
        kernels[stage.name] = _kernels(stage, home, model.model)
        own = {form: runners[stage.name, form] for form in stage.exports}
        prints = {
            form: (str(runner.path.relative_to(run.path)), of_file(runner.path))
            for form, runner in own.items()
        }
        if stage.once and before.knows(prints.values()):
            answers[stage.name] = before.answers[prints[stage.exports[0]]]
            found = {form: before.files[each] for form, each in prints.items()}
        else:
            logits[stage.name] = measure.logits(model, test)
            answers[stage.name] = _answers(stage, own, logits[stage.name], test)
            found = {
                form: _measured(runner, form, test, logits[stage.name], few)
                for form, runner in own.items()
            }
        files = []
        for form, runner in own.items():
            latency = latencies[stage.name, form]
            name, digest = prints[form]
            about = {"file": name, "sha256": digest}
            about |= {"format": form.format, "precision": form.precision}
            time = {
                "latency_ms": latency.median_ms,
                "latency_low_ms": latency.low_ms,
                "latency_high_ms": latency.high_ms,
            }
            files.append(about | found[form] | time)
            print(
                f"  {f'{stage.name}/{runner.path.name}':<32} "
                f"top-1 {files[-1]['top1']:.2%}  {files[-1]['bytes']:>10,} bytes",
                flush=True,
            )
        rows.append(
            home.read_about()
            | {"data": data.name, "split": "test"}
            | files[0]
            | _size_of_the_net(model)
            | _encoded(files)
            | {"files": files}
        )
    _write_answers(test, answers, folder)
    _write_disagreements(stages, data, test, logits, folder)
    _write_filters(filters, folder)
    write_json(folder.kernels, kernels)
    return rows


def _answers(stage, runners, reference, test):
    """The class that the file which stands for the stage gives to every image."""
    first = stage.exports[0]
    if first.precision != "float32":  # else the file says what the model says
        reference = measure.logits(runners[first], test)
    return two_classes(reference).argmax(-1)


def _measured(runner, form, test, reference, few):
    profile = measure.profile(
        runner, test, reference=reference, latency=False, arena=False
    ).as_row()
    if form.format == "litert":
        profile |= _on_board(runner, profile["macs"], few)
    return profile


def _on_board(runner, macs, images):
    """RAM on a board, or why none is known; and whether its answers are LiteRT's."""
    slow = macs is None or macs > MOST_MACS
    found = measure.board(runner, None if slow else images)
    return {
        "arena_bytes": found.arena_bytes,
        "board_refusal": found.refusal,
        "board_difference": found.difference,
        "board_agreement": found.agreement,
    }


def _encoded(files):
    """Bytes of the stage's archive, if it wrote one."""
    sizes = [file["bytes"] for file in files if file["format"] == "archive"]
    return {"bytes_encoded": sizes[0]} if sizes else {}


def _size_of_the_net(runner):
    """A paper counts the net's weights; files have batch norm folded into them."""
    count = measure.parameters(runner)
    return {
        "parameters": count.count,
        "nonzero": count.nonzero,
        "macs": total_macs(measure.layer_calls(runner.model, partial=True)),
    }


def _kernels(stage, home, model):
    """Of the file that stands for the stage; a SavedModel hides them."""
    first = stage.exports[0]
    path = home.exported(first.format, first.precision)
    found = measure.kernel_values(path if first.format == "litert" else home.model)
    layers = {layer.name for layer in all_layers(model)}
    return [
        {"name": _layer_of(name, layers), **each._asdict()}
        for name, each in found.items()
    ]


def _layer_of(name, layers):
    """Of a kernel's name: a file calls it by layer and operator, "conv_1/MatMul"."""
    first = name.split("/")[0]
    known = (each for each in (first, first.removesuffix("_1")) if each in layers)
    return next(known, name)


def _write_answers(test, answers, folder):
    """Integers alone: a report that needs no model counts what it likes."""
    with naming(folder.answers):
        np.savez(
            folder.answers,
            labels=np.concatenate([labels for _, labels in test.as_numpy_iterator()]),
            stages=np.array(list(answers)),
            answers=np.array(list(answers.values()), np.uint16),  # of 65,536 classes
        )


def _write_filters(filters, folder):
    there = {stage: kernel for stage, kernel in filters.items() if kernel is not None}
    numbered = {str(at): kernel for at, kernel in enumerate(there.values())}
    with naming(folder.filters):
        np.savez(folder.filters, stages=np.array(list(there), str), **numbered)


def _write_disagreements(stages, data, test, logits, folder):
    """The first test images on which the first student and its teacher disagree."""
    models = {stage.name: home.model for stage, home in stages.items()}
    for stage in stages:
        if stage.teacher in models:
            break
    else:
        return
    pair = stage.teacher, stage.name
    for name in set(pair) - logits.keys():  # known before, and yet to be shown
        logits[name] = measure.logits(export.load(models[name]), test)
    teacher, student = (_softmax(logits[name]) for name in pair)
    index = np.flatnonzero(teacher.argmax(-1) != student.argmax(-1))[:SHOWN]
    images, labels, start = [], [], 0
    for batch_images, batch_labels in test.as_numpy_iterator():
        stop = start + len(batch_labels)
        picked = index[(index >= start) & (index < stop)] - start
        images.append(_pixels(batch_images[picked], data))
        labels.append(batch_labels[picked])
        start = stop
    with naming(folder.disagreements):
        np.savez(
            folder.disagreements,
            images=np.concatenate(images),
            labels=np.concatenate(labels),
            teacher=teacher[index],
            student=student[index],
            index=index,
            teacher_stage=np.array(stage.teacher),
            student_stage=np.array(stage.name),
        )


def _pixels(images, data):
    """What normalisation was applied to: pixels from 0 to 255."""
    pixels = 255 * (images * np.float32(data.std) + np.float32(data.mean))
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


def _softmax(logits):
    return keras.ops.convert_to_numpy(keras.ops.softmax(two_classes(logits)))
