"""What cannot be parsed: one line that names the value and a way out, status 2."""

import pytest

from experiments.cli import main as cli
from experiments.cli.options import names

VERBS = [verb.__name__.rpartition(".")[2] for verb in cli.VERBS]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", "limbeck: the following arguments are required: COMMAND"),
        (
            "demmo",
            "limbeck: no command 'demmo' (did you mean demo?); choose from "
            f"{', '.join(VERBS)}",
        ),
        (
            "fly",
            f"limbeck: no command 'fly'; choose from {', '.join(VERBS)}",
        ),
        (
            "bench net",
            "limbeck bench: no benchmark 'net' (did you mean nets?); choose from nets, "
            "distill, prune, quantize, input, runtimes, archive, compression, search, "
            "scale",
        ),
        ("demo --seeds 0", "limbeck demo: argument --seeds: must be at least 1, got 0"),
        (
            "demo --seeds many",
            "limbeck demo: argument --seeds: must be a whole number, got 'many'",
        ),
        ("demo --seeds", "limbeck demo: argument --seeds: expected one argument"),
        ("demo --sedes 3", "limbeck demo: no option --sedes (did you mean --seeds?)"),
        (
            "measure net.keras --split tset",
            "limbeck measure: no split 'tset' (did you mean test?); choose from train, "
            "validation, test, all",
        ),
        (
            "pretrain lenet5 --data digits --method simcl",
            "limbeck pretrain: no method 'simcl' (did you mean simclr?); choose from "
            "rotation, simclr, autoencoder, supervised",
        ),
        (
            "train lenet5",
            "limbeck train: the following arguments are required: --data",
        ),
        (
            "train lenet5 --data digits --normalisation imagnet",
            "limbeck train: argument --normalisation: no normalisation called "
            "'imagnet' (did you mean imagenet?); choose from train, 0..255, 0..1, "
            "-1..1, imagenet, or give MEAN/STD of pixels from 0 to 1, as 0.13/0.31",
        ),
        ("demo --data=", "limbeck demo: argument --data: must not be empty, got ''"),
        *(
            (words, f"limbeck {verb}: argument {option}: must not be empty, got ''")
            for verb, option, words in (
                ("export", "--precision", "export a.keras a.tflite --precision="),
                ("prune", "--saliency", "prune a.keras --macs 0.5 --saliency="),
                ("cluster", "--engine", "cluster a.keras --data digits --engine="),
                ("compress", "--storage", "compress a.keras --data d --storage="),
            )
        ),
        (
            "report runs/a --out=",
            "limbeck report: argument --out: must not be empty, got ''",
        ),
        ("demo --colour=red", "limbeck demo: no option --colour"),
        (
            "bench nets --rouds=3",
            "limbeck bench nets: no option --rouds (did you mean --rounds?)",
        ),
        ("table a b", "limbeck table: one argument too many: 'b'"),
        ("report", "limbeck report: the following arguments are required: RUN"),
        (
            "nets lenet5 --input-shape 32x32",
            "limbeck nets: argument --input-shape: must be as 32,32,3, got 32x32",
        ),
        (
            "nets lenet5 --input-shape 0,32,3",
            "limbeck nets: argument --input-shape: must be as 32,32,3, got 0,32,3",
        ),
    ],
)
def test_one_line(words, line, refusal):
    command = line.partition(":")[0]
    assert refusal(*words.split()) == f"{line}; see {command} --help"


def test_names_that_are_empty_are_none_of_all(refusal):
    assert names("a, b") == ["a", "b"] and names(None) is None
    line = refusal("train", "lenet5", "--data", "digits", "--stages", "a,")
    assert "must be names as A,B, got 'a,'" in line
