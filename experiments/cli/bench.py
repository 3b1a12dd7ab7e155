"""`limbeck bench`: ratios of speed against peers."""

import contextlib
import json
from functools import partial
from importlib import import_module

from experiments.cli.options import (
    add_json,
    names,
    path,
    positive,
    start_tensorflow,
)
from experiments.cores import usable_cores

NETS_EXAMPLES = """
limbeck bench nets
limbeck bench nets --only resnet20,alexnet --rounds 5 --threads 1
limbeck bench nets --quick          # does everything run?
"""
DISTILL_EXAMPLES = """
limbeck bench distill
limbeck bench distill --rounds 4 --json
limbeck bench distill --quick       # does everything run?
"""
PRUNE_EXAMPLES = """
limbeck bench prune
limbeck bench prune --only steps --rounds 30
limbeck bench prune --quick         # does everything run?
"""
QUANTIZE_EXAMPLES = """
limbeck bench quantize
limbeck bench quantize --only alexnet_small --rounds 30
limbeck bench quantize --quick      # does everything run?
"""
INPUT_EXAMPLES = """
limbeck bench input
limbeck bench input --photos /path/to/photos --size 160
limbeck bench input --only step --rounds 30
limbeck bench input --quick         # does everything run?
"""
RUNTIMES_EXAMPLES = """
limbeck bench runtimes
limbeck bench runtimes --only resnet56 --rounds 100 --json
limbeck bench runtimes --quick      # does everything run?
"""
ARCHIVE_EXAMPLES = """
limbeck bench archive
limbeck bench archive --files net.keras other.keras
limbeck bench archive --quick       # does everything run?
"""
COMPRESSION_EXAMPLES = """
limbeck bench compression
limbeck bench compression --only lenet5_caffe --seeds 5
limbeck bench compression --quick   # does everything run?
"""
SEARCH_EXAMPLES = """
limbeck bench search
limbeck bench search --only board --seeds 1
limbeck bench search --quick        # does everything run?
"""
SCALE_EXAMPLES = """
limbeck bench scale
limbeck bench scale --only 5k,60k --json
limbeck bench scale --quick         # does everything run?
"""
EXAMPLES = """
limbeck bench nets                  # training and inference
limbeck bench distill               # distillation
limbeck bench prune                 # pruning: training, cutting, files
limbeck bench quantize              # quantization-aware training
limbeck bench input                 # images on their way to the net
limbeck bench runtimes              # one image in each runtime
limbeck bench archive               # bytes of pruned and clustered weights
limbeck bench compression           # nets made small by limbeck and by tfmot
limbeck bench search                # limbeck compress against cuts by hand
limbeck bench scale                 # many images, many classes
"""


def add(commands):
    command = commands.add_parser(
        "bench",
        help="ratios of speed against peers",
        description="Times limbeck and its peers in turns, in one run.",
        examples=EXAMPLES,
    )
    kinds = command.add_subparsers(required=True, metavar="BENCHMARK")
    nets = kinds.add_parser(
        "nets",
        help="our nets against PyTorch and plain Keras",
        description="Training and inference in turns, in one run. PyTorch takes part "
        "where it is installed.",
        examples=NETS_EXAMPLES,
    )
    nets.add_argument("--only", metavar="A,B", help="nets (all that are timed)")
    _add_turns_options(nets)
    nets.set_defaults(run=_by_name("nets"))
    distill = kinds.add_parser(
        "distill",
        help="our distiller against Keras's and PyTorch",
        description="A ResNet-56 teaches a small AlexNet, with and without cache, with "
        "and without hints, in turns, in one run. PyTorch takes part where it is "
        "installed.",
        examples=DISTILL_EXAMPLES,
    )
    _add_turns_options(distill)
    distill.set_defaults(run=_distill)
    prune = kinds.add_parser(
        "prune",
        help="masks against tfmot's, cuts against Torch-Pruning, files of pruned nets",
        description="A training step with masks beside tfmot's wrappers; the time to "
        "cut a net's channels, beside Torch-Pruning where it is installed; a step by "
        "multiples of channels; bytes and milliseconds of the files.",
        examples=PRUNE_EXAMPLES,
    )
    prune.add_argument(
        "--only", metavar="A,B", help="steps, cuts, multiples, files (all)"
    )
    _add_turns_options(prune)
    prune.set_defaults(run=_by_name("prune"))
    quantize = kinds.add_parser(
        "quantize",
        help="quantization-aware training against tfmot's",
        description="A training step with fake quantization, beside tfmot's through "
        "tf_keras, in turns, in one run.",
        examples=QUANTIZE_EXAMPLES,
    )
    quantize.add_argument("--only", metavar="A,B", help="nets (all that are timed)")
    _add_turns_options(quantize)
    quantize.set_defaults(run=_by_name("quantize"))
    reading = kinds.add_parser(
        "input",
        help="images on their way, against PyTorch's and Keras's loaders",
        description="Batches of photographs and of small images, beside a PyTorch "
        "DataLoader and image_dataset_from_directory; a training step with and without "
        "input; in turns, in one run. PyTorch takes part where it is installed.",
        examples=INPUT_EXAMPLES,
    )
    reading.add_argument("--only", metavar="A,B", help="photos, small or step (all)")
    reading.add_argument(
        "--photos",
        metavar="FOLDER",
        type=path,
        help="with a folder of JPEG files a class (pieces of scikit-learn's two)",
    )
    reading.add_argument(
        "--size", metavar="PX", type=positive, default=224, help="of photos (224)"
    )
    _add_turns_options(reading)
    reading.set_defaults(run=_input)
    runtimes = kinds.add_parser(
        "runtimes",
        help="one image in LiteRT, Keras, ONNX Runtime and PyTorch",
        description="Latency of one image in every runtime, with one thread and with "
        "two, in turns, in one run. ONNX Runtime and PyTorch take part where they are "
        "installed.",
        examples=RUNTIMES_EXAMPLES,
    )
    runtimes.add_argument("--only", metavar="A,B", help="nets (all that are timed)")
    _add_rounds_options(runtimes)
    runtimes.set_defaults(run=_by_name("runtimes", on_threads=False))
    archive = kinds.add_parser(
        "archive",
        help="bytes of weights in zip, xz, zstd, Deep Compression and .limbeck",
        description="The same pruned and clustered weights in general compressors, in "
        "Deep Compression's coding and in limbeck's archive: bytes, and MB/s each way. "
        "brotli and zstd take part where they are installed.",
        examples=ARCHIVE_EXAMPLES,
    )
    archive.add_argument("--only", metavar="A,B", help="nets (all that are made)")
    archive.add_argument(
        "--files", metavar="FILE", nargs="+", type=path, default=(), help=".keras files"
    )
    _add_rounds_options(archive)
    archive.set_defaults(run=_archive)
    compression = kinds.add_parser(
        "compression",
        help="nets pruned, clustered and quantized by limbeck and by tfmot",
        description="The same trained nets made small by both, with the same data and "
        "budget: accuracy on the test images, bytes, seconds an epoch, memory. Under "
        "an hour on two cores.",
        examples=COMPRESSION_EXAMPLES,
    )
    _add_nets_and_seeds(compression)
    _add_threads_options(compression)
    _add_output_options(compression)
    compression.set_defaults(run=_by_name("compression"))
    search = kinds.add_parser(
        "search",
        help="limbeck compress against what is done by hand",
        description="A ResNet-20, a MobileNetV2 and a net for a board: searches under "
        "limits, beside their int8 files, uniform cuts and the demo's way, at equal "
        "accuracy. Hours on two cores; the same command goes on where it was stopped.",
        examples=SEARCH_EXAMPLES,
    )
    _add_nets_and_seeds(search)
    search.add_argument(
        "--threads", metavar="N", type=positive, help="of TensorFlow (all cores)"
    )
    search.add_argument(
        "--out", metavar="FOLDER", type=path, help="of the runs (runs/bench-search)"
    )
    _add_output_options(search)
    search.set_defaults(run=_search)
    scale = kinds.add_parser(
        "scale",
        help="what an image costs among 5,000 and among 600,000",
        description="Folders of up to 600,000 images and 1,000 classes are read, "
        "trained on, shown to a teacher, measured: seconds an image, and memory. Some "
        "minutes on two cores.",
        examples=SCALE_EXAMPLES,
    )
    scale.add_argument("--only", metavar="A,B", help="sizes (all)")
    _add_threads_options(scale)
    _add_output_options(scale)
    scale.set_defaults(run=_by_name("scale"), rounds=None)


def _add_turns_options(command):
    """The options of every benchmark that times frameworks in turns."""
    _add_threads_options(command)
    _add_rounds_options(command)


def _add_threads_options(command):
    """The options of every benchmark of frameworks."""
    command.add_argument(
        "--threads", metavar="N", type=positive, help="of each framework (all cores)"
    )
    command.add_argument("--batch", metavar="N", type=positive, help="images at once")


def _add_nets_and_seeds(command):
    """The options of every benchmark that trains."""
    command.add_argument("--only", metavar="A,B", help="nets (all)")
    command.add_argument(
        "--seeds", dest="rounds", metavar="N", type=positive, help="of each way (3)"
    )


def _add_rounds_options(command):
    """The options of every benchmark that takes turns."""
    command.add_argument("--rounds", metavar="N", type=positive, help="turns of each")
    _add_output_options(command)


def _add_output_options(command):
    """The options of every benchmark."""
    command.add_argument("--quick", action="store_true", help="does everything run?")
    add_json(command)


def _by_name(name, *, on_threads=True):
    """Runs the benchmark of that name, which takes nothing but what all of them do."""

    def run(options):
        start_tensorflow()
        benchmark = import_module(f"experiments.benchmarks.{name}")
        table = import_module(f"experiments.benchmarks.{name}_table")
        chosen = partial(benchmark.run, names(options.only))
        _show(chosen, table.as_text, options, on_threads=on_threads)

    return run


def _distill(options):
    start_tensorflow()
    from experiments.benchmarks import distill, distill_table

    _show(distill.run, distill_table.as_text, options)


def _input(options):
    with contextlib.suppress(ImportError):
        import torchvision  # noqa: F401, loaded after TensorFlow it may crash
    start_tensorflow()
    from experiments.benchmarks import input as reading
    from experiments.benchmarks import input_table

    benchmark = partial(
        reading.run, names(options.only), photos=options.photos, size=options.size
    )
    _show(benchmark, input_table.as_text, options)


def _search(options):
    start_tensorflow()
    from experiments.benchmarks import search, search_table

    benchmark = partial(
        search.run,
        names(options.only),
        threads=options.threads,
        out=options.out or search.OUT,
    )
    _show(benchmark, search_table.as_text, options, on_threads=False)


def _archive(options):
    start_tensorflow()
    import architectures  # noqa: F401, registers the layers that a file may hold
    from experiments.benchmarks import archive, archive_table

    benchmark = partial(archive.run, names(options.only), files=options.files)
    _show(benchmark, archive_table.as_text, options, on_threads=False)


def _show(benchmark, as_text, options, *, on_threads=True):
    from experiments.benchmarks import progress

    if on_threads:
        threads = options.threads or usable_cores()
        benchmark = partial(benchmark, threads=threads, batch=options.batch)
    result = benchmark(
        rounds=options.rounds, quick=options.quick, log=progress.report_progress
    )
    progress.report_progress("")
    print(json.dumps(result, indent=1) if options.json else as_text(result))
