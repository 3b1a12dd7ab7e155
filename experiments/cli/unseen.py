"""What a choice by validation images costs others, which chose nothing."""

import sys

OTHERS = 1024  # images, at most: their standard error is about a point, or less


def apart(batches, count):
    """The first `count` images of batches, and the others, as batches again."""
    first, others = [], []
    for images, labels in batches:
        first.append((images[:count], labels[:count]))
        others.append((images[count:], labels[count:]))
        count = max(count - len(labels), 0)
    return [[each for each in part if len(each[1])] for part in (first, others)]


def lost(model, path, batches, whose, file=None):
    """Print top-1 of both; the points that the file loses, and their standard error."""
    import numpy as np

    from compression import measure
    from compression.answers import two_classes

    labels = np.concatenate([labels for _, labels in batches])
    before, after = (
        two_classes(measure.logits(each, batches)).argmax(-1) == labels
        for each in (model, path)
    )
    print(
        f"top-1 on {len(labels):,} {whose}: {100 * before.mean():.2f} % in float32, "
        f"{100 * after.mean():.2f} % by the file",
        file=file,
    )
    points = 100 * (before.mean() - after.mean())
    return points, 100 * np.sqrt((before != after).sum()) / len(labels)


def judge(model, path, others, max_drop, remedy, file=None):
    """Print what a file costs the others; warn where that is no chance."""
    points, chance = lost(model, path, others, "others, which chose nothing", file=file)
    if points > max_drop + chance:
        print(
            f"limbeck: others lose {points:.2f} points, by more than chance over "
            f"{max_drop:g}: give a narrower bound{remedy}",
            file=sys.stderr,
        )
