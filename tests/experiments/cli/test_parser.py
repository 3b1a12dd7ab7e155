"""What cannot be parsed: one line that names the value and a way out, status 2."""

import pytest


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("", "limbeck: the following arguments are required: COMMAND"),
        (
            "demmo",
            "limbeck: no command 'demmo' (did you mean demo?); choose from demo, "
            "reproduce, nets, prune, cluster, quantize, measure, export, report, "
            "table, bench",
        ),
        (
            "train",
            "limbeck: no command 'train'; choose from demo, reproduce, nets, "
            "prune, cluster, quantize, measure, export, report, table, bench",
        ),
        (
            "bench net",
            "limbeck bench: no benchmark 'net' (did you mean nets?); choose from nets, "
            "distill, prune, quantize, runtimes, archive, compression",
        ),
        ("demo --seeds 0", "limbeck demo: argument --seeds: must be at least 1, got 0"),
        (
            "demo --seeds many",
            "limbeck demo: argument --seeds: must be a whole number, got 'many'",
        ),
        ("demo --seeds", "limbeck demo: argument --seeds: expected one argument"),
        ("demo --sedes 3", "limbeck demo: no option --sedes (did you mean --seeds?)"),
        ("demo --colour=red", "limbeck demo: no option --colour"),
        (
            "bench nets --rouds=3",
            "limbeck bench nets: no option --rouds (did you mean --rounds?)",
        ),
        ("report a b", "limbeck report: one argument too many: 'b'"),
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
