"""The run folder: what was asked, what is finished, what was measured; and resuming.

    RUN/recipe.json        what was asked for
    RUN/environment.json   what it ran on
    RUN/data.json          the data as they were found
    RUN/rows.jsonl         one row of measurements a stage and seed
    RUN/stages/seed0/NAME  a finished stage: model, exports, history
    RUN/report.html, .md

A stage works in `NAME.partial`, which becomes `NAME` when all is written: what is
there is whole. A training that was interrupted goes on from its checkpoint.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import platform
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from compression import export
from compression.atomic import replacing
from experiments import data as datasets
from experiments.files import read_json, write_json
from experiments.recipe import Recipe
from experiments.runs.measuring import measured_rows
from experiments.stages.base import MODEL, Job, Stage
from experiments.stages.teacher_cache import default_root
from experiments.training.progress import clock

ROWS = "rows.jsonl"
MEASURE = "measure"
LOCK = ".lock"


def run(
    recipe: Recipe,
    out: Path,
    *,
    seeds: Sequence[int] = (0,),
    stages: Sequence[str] | None = None,
    command: str = "",
) -> Path:
    """Run what is not finished yet, measure, and write `rows.jsonl`; returns `out`.

    Args:
        recipe: what to run.
        out: the run folder; made if need be.
        seeds: the whole recipe is run for each.
        stages: names of the stages to run; None: all.
        command: how a person would ask for this run, for the record.

    Raises:
        ValueError: the folder belongs to another recipe, or the data have changed
            since; there is no such stage, or a chosen stage needs one that is neither
            chosen nor finished.
        BlockingIOError: another process is running in that folder.
    """
    chosen = [recipe.stage(name) for name in stages or [s.name for s in recipe.stages]]
    chosen.sort(key=recipe.stages.index)
    _require_same_recipe(recipe, out)
    for seed in seeds:
        _require_inputs(recipe, chosen, out, seed)
    found = datasets.load(
        recipe.data,
        image_size=recipe.image_size,
        skip_bad_images=recipe.skip_bad_images,
    )
    if recipe.normalisation is not None:
        mean, std = recipe.normalisation
        found = dataclasses.replace(found, mean=mean, std=std)
    for stage in chosen:
        stage.check(found)
    with _alone(out):
        _require_same_data(found, out)
        write_json(out / "recipe.json", recipe.as_dict())
        write_json(out / "data.json", _described(found))
        if recipe.deterministic:
            import tensorflow as tf

            tf.config.experimental.enable_op_determinism()
        ran = False
        for seed in seeds:
            anew = [_run_stage(stage, recipe, found, out, seed) for stage in chosen]
            _measure(recipe, found, out, seed, again=any(anew))
            ran |= any(anew)
        _write_rows(recipe, out)
        if ran:  # else the record of what did run stays
            write_json(out / "environment.json", environment(command))
    return out


def rows(out: Path) -> list[dict[str, Any]]:
    """The rows of a run folder."""
    with (out / ROWS).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _run_stage(stage: Stage, recipe, data, out, seed):
    """Run the stage unless it is finished; returns whether it was run."""
    home = _home(out, stage, seed)
    seed = 0 if stage.once else seed
    done = home / stage.name
    if done.exists():
        print(f"[seed {seed}] {stage.name}: finished before", flush=True)
        return False
    print(f"[seed {seed}] {stage.name}: {stage.what}", flush=True)
    partial = home / f"{stage.name}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    keras.backend.clear_session()
    # Each stage anew, so that it does not matter which ones were finished before; the
    # same seed, so that nets that are compared start from the same weights.
    keras.utils.set_random_seed(seed)
    start = time.perf_counter()
    about = stage.run(
        Job(
            data=data,
            augment=recipe.augment,
            seed=seed,
            folder=partial,
            stages=recipe.stages,
            cache=default_root(),
            load=lambda name: _load(
                _home(out, recipe.stage(name), seed) / name / MODEL
            ),
        )
    )
    seconds = time.perf_counter() - start
    write_json(partial / "about.json", about | {"seconds": round(seconds, 1)})
    (partial / "checkpoint.npz").unlink(missing_ok=True)
    partial.rename(done)
    print(f"  done in {clock(seconds)}", flush=True)
    return True


def _home(out, stage, seed):
    """The folder that holds the stage's."""
    return out / "stages" / ("once" if stage.once else f"seed{seed}")


def _load(path):
    try:
        return export.load(path).model
    except ValueError as error:
        raise ValueError(
            f"{error}; delete its folder {path.parent} to run that stage again"
        ) from error


def _measure(recipe, data, out, seed, *, again):
    """Measure the finished stages together, unless that was done and not `again`."""
    home = out / "stages" / f"seed{seed}"
    finished = {
        stage: folder
        for stage in recipe.stages
        if (folder := _home(out, stage, seed) / stage.name).exists()
    }
    done = home / MEASURE
    if done.exists() and not again:
        known = [row["stage"] for row in read_json(done / "rows.json")]
        if known == [stage.name for stage in finished]:
            return
    print(
        f"[seed {seed}] {MEASURE}: every exported file on the test images", flush=True
    )
    partial = home / f"{MEASURE}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    keras.backend.clear_session()
    measured = measured_rows(finished, data, partial, out)
    write_json(partial / "rows.json", [row | {"seed": seed} for row in measured])
    shutil.rmtree(done, ignore_errors=True)
    partial.rename(done)


def _write_rows(recipe, out):
    """Gather the rows of all seeds, also of those that an earlier call has run."""
    order = [stage.name for stage in recipe.stages]
    gathered = []
    for path in sorted(out.glob(f"stages/seed*/{MEASURE}/rows.json")):
        gathered += read_json(path)
    gathered.sort(key=lambda row: (row["seed"], order.index(row["stage"])))
    with replacing(out / ROWS) as beside:
        beside.write_text("".join(json.dumps(row) + "\n" for row in gathered))


def _require_same_recipe(recipe, out):
    path = out / "recipe.json"
    if not path.exists():
        if out.exists() and any(p.name != LOCK for p in out.iterdir()):
            raise ValueError(
                f"{out} is not empty and not a run folder; choose another --out"
            )
        return
    there, asked = read_json(path), json.loads(json.dumps(recipe.as_dict()))
    different = sorted(_differences(there, asked))
    if different:
        shown = "; ".join(different[:3]) + ("; ..." if len(different) > 3 else "")
        raise ValueError(
            f"{out} holds a run of another recipe ({shown}); choose another --out, or "
            "delete that folder"
        )


def _require_same_data(data, out):
    path = out / "data.json"
    if not path.exists():
        return
    different = sorted(_differences(read_json(path), _described(data)))
    if different:
        raise ValueError(
            f"the data have changed since the run in {out} began "
            f"({'; '.join(different[:3])}); choose another --out"
        )


def _differences(there, asked, path=""):
    if isinstance(there, dict) and isinstance(asked, dict):
        for key in there.keys() | asked.keys():
            yield from _differences(
                there.get(key), asked.get(key), f"{path}.{key}".strip(".")
            )
    elif (
        isinstance(there, list) and isinstance(asked, list) and len(there) == len(asked)
    ):
        for i, pair in enumerate(zip(there, asked, strict=True)):
            name = pair[0].get("name", i) if isinstance(pair[0], dict) else i
            yield from _differences(*pair, f"{path}.{name}")
    elif there != asked:
        yield f"{path}: {there} there, {asked} asked for"


def _require_inputs(recipe, chosen, out, seed):
    ready = {stage.name for stage in chosen}
    for stage in chosen:
        for needed in stage.inputs:
            if (
                needed not in ready
                and not (_home(out, recipe.stage(needed), seed) / needed).exists()
            ):
                raise ValueError(
                    f"stage {stage.name!r} needs {needed!r}, which is neither chosen "
                    f"nor finished in {out} for seed {seed}"
                )


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """No two processes work in one run folder; the lock dies with its process."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(f"another limbeck is running in {out}") from error
        for folder in out.rglob(".*/"):  # of writers that were killed
            shutil.rmtree(folder)
        yield


def _described(data):
    return {
        "name": data.name,
        "image_shape": list(data.image_shape),
        "class_names": list(data.class_names),
        "train": data.train.size,
        "validation": data.validation.size,
        "test": data.test.size,
        "mean": list(data.mean),
        "std": list(data.std),
        "note": data.note,
        "bad_images": list(data.bad_images),
    }


def environment(command: str) -> dict[str, Any]:
    """What a run depends on beside its recipe: versions, machine, commit, command.

    With the peak memory of this process so far, in bytes.
    """
    import tensorflow as tf

    packages = ("limbeck", "keras", "tensorflow", "ai-edge-litert", "numpy")
    gpus = tf.config.list_physical_devices("GPU")
    return {
        "command": command,
        **{package.replace("-", "_"): version(package) for package in packages},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "threads": len(os.sched_getaffinity(0)),
        "device": f"{len(gpus)} GPU" if gpus else "CPU",
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **_commit(),
    }


def _cpu():
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _commit():
    """Commit of the checkout that this code runs from, and whether it is clean."""
    here = Path(__file__).parent

    def git(*words):
        return subprocess.run(
            ["git", "-C", here, *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "clean": not git("status", "--porcelain"),
        }
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "clean": None}
