"""A run folder with plausible content, written without a run; runs without a board."""

import importlib
import json

import numpy as np
import pytest

STAGES = (
    {
        "kind": "Train",
        "name": "teacher",
        "start": {"name": "resnet20", "options": {}},
        "training": {"epochs": 12, "learning_rate": 0.1, "clip_norm": None},
        "exports": [{"format": "litert", "precision": "float32"}],
    },
    {
        "kind": "Train",
        "name": "distill",
        "start": {"name": "alexnet_small", "options": {"width": 0.125}},
        "training": {"epochs": 24, "learning_rate": 0.003},
        "teaching": {"teacher": "teacher", "temperature": 4.0, "soft_weight": 0.9},
    },
    {
        "kind": "Prune",
        "name": "prune",
        "start": "distill",
        "training": {"epochs": 16},
        "teaching": {"teacher": "teacher"},
        "sparsity": 0.8,
    },
    {"kind": "Quantize", "name": "int8", "start": "prune", "calibration": 256},
)
SPARSITY = {"key": "sparsity", "title": "zeros, % of the kernels", "factor": 100}
DECLARED = {
    "teacher": {"start": None, "teacher": None, "logs": [], "facts": []},
    "distill": {"start": None, "teacher": "teacher", "logs": [], "facts": []},
    "prune": {
        "start": "distill",
        "teacher": "teacher",
        "logs": [SPARSITY],
        "facts": [{"key": "masks", "title": "masks made", "format": ".1f"}],
    },
    "int8": {"start": "prune", "teacher": None, "logs": [], "facts": []},
}
ALEXNET = {"net": "alexnet_small", "parameters": 33_000, "macs": 3_100_000}
ROWS = {
    "teacher": {
        "net": "resnet20",
        "what": "resnet20 trained on the labels",
        "precision": "float32",
        "top1": 0.985,
        "parameters": 269_434,
        "nonzero": 269_434,
        "macs": 31_000_000,
        "bytes": 1_100_000,
        "bytes_zipped": 1_000_000,
        "latency_ms": 0.8,
        "epochs": 12,
    },
    "distill": ALEXNET
    | {
        "what": "alexnet_small distilled from the teacher",
        "precision": "float32",
        "top1": 0.97,
        "nonzero": 33_000,
        "bytes": 140_000,
        "bytes_zipped": 125_000,
        "latency_ms": 0.1,
        "epochs": 24,
    },
    "prune": ALEXNET
    | {
        "what": "the distill net pruned to 80% zeros, distilled from the teacher",
        "precision": "float32",
        "top1": 0.965,
        "nonzero": 7_100,
        "bytes": 140_000,
        "bytes_zipped": 40_000,
        "latency_ms": 0.102,
        "epochs": 16,
    },
    "int8": ALEXNET
    | {
        "what": "the prune net in 8-bit integers, calibrated on train images",
        "precision": "int8",
        "top1": 0.963,
        "nonzero": 7_100,
        "bytes": 42_000,
        "bytes_zipped": 16_000,
        "latency_ms": 0.05,
    },
}
OTHER_FORMS = {  # format, precision: factors of bytes and latency
    "teacher": [("saved_model", "float32", 1.4, 2.5)],
    "distill": [("saved_model", "float32", 1.4, 2.5)],
    "prune": [("saved_model", "float32", 1.4, 2.5)],
    "int8": [("litert", "float16", 1.8, 2.1), ("saved_model", "int8", 3.0, 9.0)],
}


@pytest.fixture(scope="module")
def no_board():
    """Runs without a board's interpreter, whose process takes half a second a file.

    What is measured with it is tested with `measure.board` and in test_run.py.
    """
    board = importlib.import_module("compression.measure.board")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(board, "PACKAGE", "no_such_package")
        yield


def measured_row(stage, seed):
    """The row of a stage; each seed has 0.2 points more than the one before."""
    row = {"stage": stage, "seed": seed, "data": "mnist5k", "split": "test"}
    row |= {"format": "litert", "agreement": 0.998, "examples": 1000} | ROWS[stage]
    row["top1"] = round(row["top1"] + 0.002 * seed, 6)
    row["latency_low_ms"] = 0.9 * row["latency_ms"]
    row["latency_high_ms"] = 1.2 * row["latency_ms"]
    row["file"] = f"stages/seed{seed}/{stage}/model.{row['precision']}.tflite"
    row |= {"seconds": 100.0, "validation_top1": row["top1"]}
    if "epochs" in row:
        row["best_epoch"] = row["epochs"] - 1
    kept = ("file", "format", "precision", "top1", "agreement", "bytes", "bytes_zipped")
    kept += ("latency_ms", "latency_low_ms", "latency_high_ms", "examples")
    row["files"] = [{key: row[key] for key in kept}]
    for form, precision, larger, slower in OTHER_FORMS[stage]:
        file = row["files"][0] | {"format": form, "precision": precision}
        file |= {key: round(larger * row[key]) for key in ("bytes", "bytes_zipped")}
        file |= {key: slower * row[key] for key in kept if key.startswith("latency")}
        row["files"].append(file)
    return row


def history(stage, seed, epochs):
    epoch = np.arange(1, epochs + 1)
    wobble = np.random.default_rng(seed).normal(0, 0.004, epochs)
    accuracy = 0.98 - 0.5 * np.exp(-epoch / 3) + wobble
    columns = {"epoch": epoch, "loss": 2 / epoch, "val_loss": 2.1 / epoch + wobble}
    columns |= {"accuracy": accuracy - 0.01, "val_accuracy": accuracy}
    if stage == "prune":
        ramp = np.minimum(1, epoch / (0.6 * epochs))
        columns["sparsity"] = 0.8 * (1 - (1 - ramp) ** 3)
    return {key: values.tolist() for key, values in columns.items()}


def write_disagreements(folder, images, classes=10):
    """A teacher that is right about all `images`, (k, height, width, channels)."""
    labels = np.arange(len(images)) % classes
    teacher = np.full((len(images), classes), 0.2 / (classes - 1))
    teacher[np.arange(len(images)), labels] = 0.8
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "disagreements.npz",
        images=images,
        labels=labels,
        teacher=teacher,
        student=np.roll(teacher, 1, axis=1),
        index=np.arange(len(images)) * 7,
        teacher_stage=np.array("teacher"),
        student_stage=np.array("distill"),
    )


def write_measured(folder, classes=10):
    """100 answers, of which the teacher's are right and others' one less each.

    And of each stage a kernel, 9 of whose 36 weights are zero, and its 4 filters.
    """
    labels = np.arange(100) % classes
    answers = np.array([labels] * len(ROWS), np.uint16)
    for at in range(1, len(ROWS)):
        answers[at, :at] = (labels[:at] + 1) % classes
    folder.mkdir(parents=True, exist_ok=True)
    stages = np.array(list(ROWS))
    np.savez(folder / "answers.npz", labels=labels, stages=stages, answers=answers)
    kernel = {"name": "conv1", "size": 36, "nonzero": 27, "values": 28, "bits": 4.8}
    (folder / "kernels.json").write_text(json.dumps({s: [kernel] for s in ROWS}))
    filters = np.arange(36, dtype="f4").reshape(3, 3, 1, 4)
    numbered = {str(at): filters for at in range(len(ROWS))}
    np.savez(folder / "filters.npz", stages=stages, **numbered)


def write_rows(run, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (run / "rows.jsonl").write_text(text, encoding="utf-8")


@pytest.fixture
def make_run(tmp_path):
    """Function of seeds and images that writes a run folder and returns it."""

    def make(seeds=(0, 1, 2), images=None, class_names=None):
        run = tmp_path / "run"
        run.mkdir()
        records = {
            "recipe": {"name": "demo", "data": "mnist5k", "stages": STAGES},
            "stages": DECLARED,
            "environment": {
                "command": "limbeck demo --seeds 3",
                "limbeck": "0.1.0",
                "tensorflow": "2.21.0",
                "cpu": "a processor",
                "threads": 2,
                "device": "CPU",
                "commit": "abc123",
                "clean": False,
                "peak_memory_bytes": 1_500_000_000,
            },
            "data": {
                "name": "mnist5k",
                "image_shape": [28, 28, 1],
                "class_names": class_names or [str(i) for i in range(10)],
                "train": 3500,
                "validation": 500,
                "test": 1000,
                "note": "",
                "bad_images": [],
            },
        }
        for name, record in records.items():
            (run / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
        write_rows(run, [measured_row(stage, s) for s in seeds for stage in ROWS])
        for seed in seeds:
            home = run / "stages" / f"seed{seed}"
            for stage, row in ROWS.items():
                if "epochs" in row:
                    (home / stage).mkdir(parents=True)
                    curves = json.dumps(history(stage, seed, row["epochs"]))
                    (home / stage / "history.json").write_text(curves)
        if images is None:
            images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28, 1)
        write_disagreements(run / "stages/seed0/measure", images)
        for seed in seeds:
            write_measured(run / f"stages/seed{seed}/measure")
        return run

    return make


@pytest.fixture
def write_record():
    """Function that changes fields of one of a run folder's JSON records."""

    def write(run, file, /, **fields):
        path = run / file
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return write


@pytest.fixture
def rows():
    """Function of stages and seeds: their rows."""
    return lambda stages, seeds: [measured_row(s, n) for n in seeds for s in stages]


@pytest.fixture
def put_rows():
    return write_rows


@pytest.fixture
def put_disagreements():
    return write_disagreements
