"""How our nets are compiled in tf_keras, which tfmot works on."""

from experiments.benchmarks.keras_peers import LEARNING_RATE, MOMENTUM


def compile_as_peers(model) -> None:
    """The loss and the optimizer of all peers."""
    import tf_keras

    model.compile(
        tf_keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM),
        tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
