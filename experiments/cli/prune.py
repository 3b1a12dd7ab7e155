"""`limbeck prune`: a .keras file without channels, or weights, it can do without."""

from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial

from experiments.cli import model_data, prune_weights, training
from experiments.cli.options import (
    add_model,
    names,
    number,
    path,
    positive,
    require_free,
    start_tensorflow,
    typed,
)

EXAMPLES = """
limbeck prune net.keras --explain   # which channels go together, and why
limbeck prune net.keras --explain --draw groups.svg
limbeck prune net.keras --macs 0.5 --out smaller.keras
limbeck prune net.keras --latency 0.6 --round-to 8 --out faster.keras
limbeck prune net.keras --ram 0.7 --saliency wanda --data digits --out b.keras
limbeck prune net.keras --macs 0.5 --data mnist5k --reestimate --out c.keras
limbeck prune net.keras --plan smaller.plan.json --out edited.keras
limbeck prune net.keras --sparsity 0.8 --data mnist5k --out sparse.keras
"""
BUDGETS = {
    "macs": "multiply-accumulates",
    "parameters": "parameters",
    "bytes": "bytes of the LiteRT file",
    "ram": "activations held at once",
    "latency": "milliseconds an image, measured by LiteRT",
}
RANKING = ("saliency", "scope", "round_to", "exempt")
CUTTING = ("out", "plan", "data", "reestimate", "reconstruct", *BUDGETS, *RANKING)
# What only a cut of channels knows.
OF_CHANNELS = (
    *("explain", "draw", "plan", "saliency", "round_to", "reestimate", "reconstruct"),
    *BUDGETS,
)
IMAGES, BATCH = 512, 64  # of train, that saliencies and repairs are shown


def add(commands):
    command = commands.add_parser(
        "prune",
        help="remove channels from a .keras model, or weights while it trains; or "
        "explain which channels go together",
        description="Writes a smaller .keras file, ready to be trained on, and beside "
        "it NAME.plan.json: which channels of which layers it keeps. Budgets are the "
        "fractions that may be left. With --sparsity no channel goes: the model is "
        "trained on while single weights become zero, so that it zips to less.",
        examples=EXAMPLES,
    )
    add_model(command)
    command.add_argument(
        "--explain", action="store_true", help="print the groups of channels, no more"
    )
    command.add_argument(
        "--draw", metavar="FILE", type=path, help="and draw them to a .svg or .png"
    )
    for name, what in BUDGETS.items():
        command.add_argument(f"--{name}", metavar="LEFT", type=fraction, help=what)
    command.add_argument(
        "--plan", metavar="FILE", type=path, help="carry out this plan, perhaps edited"
    )
    command.add_argument(
        "--saliency",
        metavar="NAME",
        help="l1, l2, fpgm, batch_norm, random; with --data hrank, wanda, taylor, "
        "fisher (l2)",
    )
    command.add_argument(
        "--scope",
        metavar="NAME",
        help="global, local or isomorphic; of --sparsity global or layer (global)",
    )
    command.add_argument(
        "--round-to",
        metavar="N",
        type=positive,
        help="a group keeps a multiple of N channels; of 4 or 8 it trains faster (1)",
    )
    command.add_argument(
        "--exempt", metavar="A,B", help="layers, or patterns, that keep all of theirs"
    )
    model_data.add_options(
        command, "train images to rank channels, to repair or to train by, of"
    )
    command.add_argument(
        "--reestimate",
        action="store_true",
        help="batch norm's statistics from the images, after the cut",
    )
    command.add_argument(
        "--reconstruct",
        action="store_true",
        help="fit what is left to what the whole net computes on the images",
    )
    prune_weights.add_options(command)
    command.add_argument(
        "--out", metavar="FILE", type=path, help="the .keras file to write"
    )
    command.set_defaults(run=run)


def fraction(text: str) -> float:
    """A number in (0, 1]: what may be left."""
    import argparse

    left = number(text)
    if not 0 < left <= 1:
        raise argparse.ArgumentTypeError(
            f"must be what is left, above 0 and at most 1, got {text}"
        )
    return left


def run(options):
    model_data.check(options, open_size=not options.explain and not options.sparsity)
    if options.sparsity is not None:
        _refuse(OF_CHANNELS, options, "--sparsity removes no channels")
        prune_weights.run(options)
        return
    trained = [*prune_weights.OPTIONS, *training.DEFAULTS]
    _refuse(trained, options, "nothing is trained without --sparsity")
    (_check_explaining if options.explain else _check_cutting)(options)
    start_tensorflow()
    import architectures  # noqa: F401, registers the layers that a .keras file may hold
    from compression import export

    if not options.explain and (options.bytes or options.latency):  # of a file of it
        model = model_data.model_of(options)
    else:
        model = export.load_model(options.model)
    if options.explain:
        _explain(model, options.draw)
    else:
        _cut(model, options)


def _refuse(names_of, options, why):
    given = typed(options, names_of)
    if given:
        raise ValueError(f"{why}: leave out {', '.join(given)}")


def _check_explaining(options):
    _refuse(CUTTING, options, "--explain cuts nothing")
    if options.draw:
        from experiments.nets.picture_file import check_path

        check_path(options.draw)


def _check_cutting(options):
    budgets = typed(options, BUDGETS)
    if options.draw:
        raise ValueError("--draw is a picture of the groups: give --explain")
    if not budgets and not options.plan:
        raise ValueError(
            "how much may be left? Give --macs 0.5 or another budget, --plan FILE, or "
            "--explain"
        )
    chosen = budgets + typed(options, RANKING)
    if chosen and options.plan:
        raise ValueError(f"--plan says what is kept: leave out {', '.join(chosen)}")
    if options.out is None or options.out.suffix != ".keras":
        raise ValueError(f"--out must be the .keras file to write, got {options.out}")
    require_free(options.out, _plan_beside(options.out))
    repairs = options.reestimate or options.reconstruct
    if repairs and not options.data:
        raise ValueError("--reestimate and --reconstruct look at images: give --data")


def _explain(model, picture):
    from compression import pruning

    groups = pruning.channel_groups(model)
    free = sum(not group.kept for group in groups)
    print(f"{model.name}: {len(groups)} groups of channels, {free} may lose some\n")
    print("\n\n".join(map(str, groups)))
    if picture:
        from experiments.nets import groups_drawing

        groups_drawing.draw(model, picture)
        print(f"\nDrawing: {picture}")


def _cut(model, options):
    from compression import pruning
    from compression.atomic import replacing
    from compression.pruning.channels.saliency import OF_DATA, OF_LABELS
    from experiments.stages.heads import class_logits

    saliency = options.saliency or "l2"
    ranks_by_images = saliency in OF_DATA and not options.plan
    if options.data and not (
        ranks_by_images or options.reestimate or options.reconstruct
    ):
        raise ValueError(
            "nothing looks at the images of --data: a saliency out of "
            f"{', '.join(OF_DATA)} does, and --reestimate and --reconstruct do"
        )
    if ranks_by_images and not options.data:
        raise ValueError(
            f"--saliency {saliency} looks at images: give --data, such as "
            "--data cifar10 or --data folder:PATH"
        )
    data = batches = None
    if options.data:
        data, batches = _data(model, options)
    known = model_data.known_of(options, data, model.input_shape[1:])
    sized = partial(model_data.sized, options=options, data=data)
    if options.plan:
        plan = pruning.load_plan(options.plan)
    else:
        # What a net of open size takes depends on the size; it stays open.
        whole = sized(model)
        exempt = tuple(names(options.exempt) or ())
        if whole is not model:
            paths = dict(zip(_paths(model), _paths(whole), strict=True))
            exempt = tuple(_exempt(exempt, paths, pruning.channel_groups(whole)))
        plan = pruning.plan_channels(
            class_logits(whole) if saliency in OF_LABELS else whole,
            **{name: vars(options)[name] for name in BUDGETS},
            saliency=saliency,
            scope=options.scope or "global",
            round_to=options.round_to or 1,
            exempt=exempt,
            data=batches,
        )
        if whole is not model:
            plan = _of_names(plan, model.name, paths)
    smaller = pruning.remove_channels(model, plan)
    images = [batch for batch, _ in batches or ()]
    if options.reconstruct:
        pruning.reconstruct(smaller, model, plan, images)
    if options.reestimate:
        pruning.reestimate_batch_norm(smaller, images)
    with replacing(options.out) as file:
        smaller.save(file)
    plan.save(_plan_beside(options.out))
    model_data.write_deployment(options.out, known)
    _print_counts(sized(model), sized(smaller))
    print(f"{options.out}\n{_plan_beside(options.out)}")


def _paths(model):
    """Names of all its layers, behind those of models around them."""
    from compression.graph import read

    return [call.path for call in read(model, flatten=True).calls]


def _exempt(patterns, paths, groups):
    """Layers that stay whole: makers of the given model under their new names."""
    makers = {maker for group in groups for maker in group.makers}
    for pattern in patterns:
        found = [new for old, new in paths.items() if fnmatchcase(old, pattern)]
        yield from [new for new in found if new in makers] or [pattern]


def _of_names(plan, name, paths):
    """The plan of a model without models inside, for the one that has them."""
    return replace(
        plan,
        net=name,
        channels={old: plan.channels[x] for old, x in paths.items() if x in plan.kept},
        kept={old: plan.kept[x] for old, x in paths.items() if x in plan.kept},
    )


def _plan_beside(out):
    return out.with_name(f"{out.stem}.plan.json")


def _data(model, options):
    from compression import export
    from compression.pruning.channels.saliency import OF_LABELS
    from experiments.data import pipeline

    runner = export.of_model(model, options.model)
    by_labels = options.saliency in OF_LABELS and not options.plan
    data = model_data.load_for(runner, options, labelled=by_labels)
    return data, pipeline.first_batches(data, "train", IMAGES, batch_size=BATCH)


def _print_counts(model, smaller):
    from compression import measure

    counts = {
        "MACs": measure.macs,
        "parameters": lambda net: measure.parameters(net).count,
        "activations": measure.peak_activations,
    }
    for name, of in counts.items():
        try:
            before, after = of(model), of(smaller)
        except ValueError:  # an open image size leaves some of them open
            continue
        print(f"{name:<12}{before:>14,} -> {after:<14,} {after / before:.1%}")
