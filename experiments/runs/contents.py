"""What the JSON files of a run folder hold, as far as somebody reads it again.

Types as `experiments/schema.py` checks them. What is not listed here may stand there as
well: it is shown as it is, or not at all. Keys that earlier versions did not write, and
values that were not measured, may be missing or null.
"""

import re
from typing import Annotated, Any, TypedDict

from experiments.schema import Count, Fraction, Number, Printable, Rule, Size

FORMAT = re.compile(r"[+ -]?\d{0,2},?(\.\d{1,2})?[eEfgG%]?")  # of a float


class StageTeaching(TypedDict, total=False):
    teacher: str | None


class StageSettings(TypedDict, total=False):
    """One of recipe.json's stages, of any version."""

    kind: str
    name: str
    teaching: StageTeaching | None


class RecipeRecord(TypedDict, total=False):
    """recipe.json"""

    name: str | None
    data: str
    stages: list[StageSettings]


class Order(TypedDict, total=False):
    """order.json"""

    command: str
    seeds: list[Count]
    stages: list[str]
    files: dict[str, str]
    data: dict[str, str]


class Failure(TypedDict, total=False):
    """How a stage has failed, in NAME.error.json."""

    error: str
    by: str


class EnvironmentRecord(TypedDict, total=False):
    """environment.json"""

    command: str | None
    commit: str | None


class DatasetRecord(TypedDict, total=False):
    """A dataset as it was found."""

    name: str
    image_shape: list[Count]
    class_names: list[str]
    note: str | None
    bad_images: list[str]
    left_out: list[str]


class DataRecord(DatasetRecord, total=False):
    """data.json: the recipe's data, and those of stages that have their own."""

    stages: dict[str, DatasetRecord]


class Titled(TypedDict):
    key: str
    title: Printable


class LoggedSeries(Titled, total=False):
    factor: Number


class StageFact(Titled, total=False):
    format: Annotated[str, Rule("such as '.2f'", FORMAT.fullmatch)]


class StageDeclaration(TypedDict, total=False):
    """One of stages.json's values."""

    start: str | None
    teacher: str | None
    measured: bool
    logs: list[LoggedSeries]
    facts: list[StageFact]


class FileRow(TypedDict, total=False):
    """What was measured of one exported file."""

    sha256: str | None
    format: str | None
    precision: str | None
    top1: Fraction | None
    agreement: Fraction | None
    errors: Size | None
    errors_by_class: list[Size] | None
    examples: Size | None
    bytes: Size | None
    bytes_zipped: Size | None
    bytes_encoded: Size | None
    macs: Size | None
    arena_bytes: Size | None
    board_refusal: str | None
    board_difference: Size | None
    board_agreement: Fraction | None
    latency_ms: Size | None
    latency_low_ms: Size | None
    latency_high_ms: Size | None


class StageFacts(FileRow, total=False):
    net: str | None
    what: str | None
    once: bool | None
    data: str | None
    split: str | None
    parameters: Size | None
    nonzero: Size | None
    epochs: Count | None
    best_epoch: Count | None
    validation_top1: Fraction | None
    seconds: Size | None
    images_per_second: Size | None
    files: list[FileRow] | None


class About(StageFacts):
    """A stage's about.json: the beginning of its row."""

    stage: Printable


class Row(About):
    """A line of rows.jsonl."""

    seed: Count


class MeasuredRow(Row):
    """One of the rows of a seed that was measured."""

    files: list[FileRow]


class Kernel(TypedDict):
    """What was counted of a kernel, as `compression.measure.KernelValues` has it."""

    name: Printable
    size: Size
    nonzero: Size
    values: Size
    bits: Size


class Fingerprints(TypedDict):
    """A stage's fingerprints.json: SHA-256 of models by stage, and of files by path."""

    read: dict[str, str]
    wrote: dict[str, str]


class Begun(TypedDict):
    """A stage's begun.json: its settings, and SHA-256 of models by stage."""

    settings: StageSettings
    read: dict[str, str]


MEASURED = ("float32", "mixed_bfloat16")
Precision = Annotated[str, Rule(" or ".join(MEASURED), lambda name: name in MEASURED)]
Declared = dict[str, StageDeclaration]
History = dict[str, list[Any]]  # what is no number there was not measured


class Record(TypedDict):
    """A committed record."""

    recipe: RecipeRecord
    environment: EnvironmentRecord
    data: DataRecord
    rows: list[Row]


class CandidateBefore(TypedDict):
    """One of search/found.json's, before zipped bytes could be limited."""

    what: str
    how: str
    top1: Fraction | None
    bytes: Count
    latency_ms: Number
    macs: Count
    arena_bytes: Count | None


class Candidate(CandidateBefore, total=False):
    bytes_zipped: Count | None


class Found(TypedDict):
    """search/found.json"""

    reference: Fraction
    why: str | None
    steps: list[str]
    tried: list[Candidate]
