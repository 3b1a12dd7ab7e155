"""Options that are no numbers, or no names: refused by name, whoever takes them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from compression import as_logits, export, measure, pruning, quantization
from compression.pruning.channels.planning import require_settings
from compression.quantization import quantize_aware

NO_NUMBERS = [float("nan"), float("inf"), "0.5", True, None, np.array([0.5, 0.6])]
HALF = pruning.ConstantSparsity(0.5)


def net(**options):
    image = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(4, 3, name="conv", **options)(image)
    return keras.Model(image, keras.layers.Dense(3, name="logits")(x), name="net")


SETTINGS = {
    "final": lambda v: pruning.ConstantSparsity(v),
    "begin": lambda v: pruning.ConstantSparsity(0.5, begin=v),
    "end": lambda v: pruning.PolynomialDecay(0.5, 0, v),
    "power": lambda v: pruning.PolynomialDecay(0.5, 0, 9, power=v),
    "frequency": lambda v: pruning.PolynomialDecay(0.5, 0, 9, frequency=v),
    r"targets\['conv'\]": lambda v: pruning.Prune(HALF, targets={"conv": v}),
    "sparsity": lambda v: pruning.magnitude_masks([np.arange(4.0)], v),
    "every": lambda v: pruning.DynamicSurgery(HALF, every=v),
    "fraction": lambda v: pruning.RigL(0.5, [], 9, fraction=v),
    "until": lambda v: pruning.RigL(0.5, [], v),
    "warmup": lambda v: pruning.LearntSparsity(v),
    "weight": lambda v: pruning.l0_gates(net(), examples=9, weight=v),
    "closed": lambda v: pruning.l0_gates(net(), examples=9, closed=v),
    "examples": lambda v: pruning.variational_dropout(net(), examples=v),
    "threshold": lambda v: pruning.variational_dropout(net(), examples=9, threshold=v),
    "strength": lambda v: pruning.GroupLasso(v),
    "round_to": lambda v: require_settings(macs=0.5, round_to=v),
    "min_channels": lambda v: require_settings(macs=0.5, min_channels=v),
    "rounds": lambda v: pruning.find_ticket(net(), print, final=0.5, rounds=v),
    "momentum": lambda v: quantize_aware(net(), momentum=v),
    "k must": lambda v: measure.top_accuracy(np.eye(3), np.arange(3), k=v),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_no_number_is_refused_by_name(name):
    for value in NO_NUMBERS:
        with pytest.raises(ValueError, match=name):
            SETTINGS[name](value)


@pytest.mark.parametrize(
    "asked",
    [
        lambda: measure.latencies([net()]),
        lambda: pruning.remove_channels(net(), "plan.json"),
        lambda: pruning.plan_channels(net(), latency=0.5, timed=lambda _: np.nan),
        lambda: pruning.Prune(0.5),
        lambda: pruning.Prune(HALF, saliency=pruning.Taylor),
        lambda: pruning.Prune(HALF, saliency=None),
        lambda: pruning.Prune(HALF, floor=True),
        lambda: pruning.Prune(HALF, targets=["conv"]),
        lambda: pruning.Prune(HALF, select="conv"),
        lambda: quantization.share_weights(net(), select="conv"),
        lambda: quantization.quantize_by_plan(net(), "plan.json", []),
        lambda: quantization.PrecisionPlan("net", [("conv", "int8")]),
        lambda: pruning.Prune(HALF, exempt=[net().layers[1]]),
        lambda: pruning.KeepZeros(exempt=None),
        lambda: pruning.SparseChannels(pruning.Slimming(), exempt=3),
        lambda: pruning.plan_channels(net(), macs=0.5, exempt=[1]),
        lambda: quantize_aware(net(), skip=[net().layers[1]]),
    ],
)
def test_what_is_no_function_or_name_is_refused(asked):
    with pytest.raises(
        ValueError,
        match="(schedule|saliency|floor|targets|plan|layers|select|exempt|skip) "
        "must be|`timed` gives must be|latencies takes",
    ):
        asked()


GIVEN_BATCHES = pytest.mark.parametrize(
    "asked",
    [
        lambda data: measure.logits(net(), data),
        lambda data: measure.profile(net(), data or 3, latency=False),
        lambda data: quantization.calibrate(net(), data),
        lambda data: quantization.sensitivity(net(), data),
        lambda data: export.coarsen(net(), data, max_drop=0.1),
        lambda data: pruning.reestimate_batch_norm(net(), data),
        lambda data: pruning.plan_channels(
            net(), macs=0.5, saliency="wanda", data=data or 3
        ),
        lambda data: pruning.Wanda(data)(one := net(), one.trainable_variables[:1]),
        lambda data: pruning.Taylor(data)(one := net(), one.trainable_variables[:1]),
    ],
)


@pytest.mark.parametrize("wrong", [None, 3, "mnist", {"image": [1]}])
@GIVEN_BATCHES
def test_what_are_no_batches_is_refused(asked, wrong):
    with pytest.raises(ValueError, match="must be batches"):
        asked(wrong)


@GIVEN_BATCHES
def test_batches_without_end_are_refused(asked):
    labelled = (np.zeros((1, 4, 4, 2)), np.zeros(1, int))
    data = tf.data.Dataset.from_tensors(labelled).repeat()
    with pytest.raises(ValueError, match=r"would never end: .* dataset.take\(8\)"):
        asked(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([np.zeros((2, 3, 4, 2))], r"images \(4, 4, 2\), one has the shape \(2, 3, 4"),
        (np.zeros((2, 4, 4, 2)), r"images \(4, 4, 2\), one has the shape \(4, 4, 2\)"),
        (["images"], "a batch must be images or a tuple"),
        ([(None, None)], "a batch must be images or a tuple"),
    ],
)
@pytest.mark.parametrize(
    "asked",
    [
        lambda data: pruning.reestimate_batch_norm(net(), data),
        lambda data: pruning.plan_channels(
            net(), parameters=0.5, saliency="hrank", data=data
        ),
    ],
)
def test_images_that_no_net_like_this_takes(asked, data, message):
    with pytest.raises(ValueError, match=message):
        asked(data)


@pytest.mark.parametrize(
    "asked",
    [
        lambda model: pruning.plan_channels(model, macs=0.5),
        lambda model: pruning.channel_groups(model),
        lambda model: quantization.share_weights(model),
        lambda model: quantization.equalise(model),
        lambda model: measure.parameters(model),
        lambda model: as_logits(model),
        lambda model: pruning.reconstruct(net(), model, None, []),
        lambda model: measure.logits(model, [np.zeros((1, 4, 4, 2))]),
    ],
)
def test_what_is_no_model_is_named(asked):
    for wrong in (None, 3):
        with pytest.raises(ValueError, match=r"a keras\.Model.*got (None|3)"):
            asked(wrong)


def test_one_name_needs_no_list():
    plan = pruning.plan_channels(net(), macs=0.99, exempt=())
    assert plan.kept  # something may go
    with pytest.raises(ValueError, match="no channels that may go"):
        pruning.plan_channels(net(), macs=0.99, exempt="conv")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "made",
    [
        lambda model: pruning.plan_channels(model, macs=0.5),
        lambda model: pruning.l0_gates(model, examples=9),
        lambda model: quantize_aware(model),
        lambda model: pruning.Prune(HALF).cut(model, 0.5),
    ],
)
def test_weights_that_are_not_finite_are_refused_by_name(made, dtype):
    model = net(dtype=dtype)
    kernel = np.zeros(model.get_layer("conv").kernel.shape)
    kernel[0, 0, 0, 0] = np.nan
    model.get_layer("conv").kernel.assign(kernel)
    with pytest.raises(ValueError, match="conv/kernel.* not"):
        made(model)


def test_masks_of_odd_arrays():
    with pytest.raises(ValueError, match="list of arrays"):
        pruning.magnitude_masks(np.arange(4.0), 0.5)
    with pytest.raises(ValueError, match="list of arrays, got None"):
        pruning.magnitude_masks(None, 0.5)
    with pytest.raises(ValueError, match=r"weights\[0\] are not all finite"):
        pruning.magnitude_masks([np.array([1, np.nan])], 0.5)
    assert pruning.magnitude_masks([], 0.5) == []
    [mask] = pruning.magnitude_masks([np.array([-128, 5, 2, 3], "int8")], 0.5)
    assert mask.tolist() == [1, 1, 0, 0] and mask.dtype == "int8"


def test_bfloat16_weights_are_pruned():
    model = net(dtype="bfloat16")
    pruning.Prune(HALF, scope="layer").cut(model, 0.5)
    kernel = np.array(model.get_layer("conv").kernel)
    assert np.count_nonzero(kernel) == kernel.size // 2


def test_multiply_accumulates_of_two_inputs():
    inputs = [keras.Input((4, 4, 2)), keras.Input((4, 4, 1))]
    made = [keras.layers.Conv2D(3, 1)(each) for each in inputs]
    model = keras.Model(inputs, keras.layers.Add()(made))
    assert measure.macs(model) == 16 * 3 * (2 + 1)
    assert measure.parameters(model).count == 3 * (2 + 1) + 3 + 3


def test_channels_of_layers_with_lora_stay():
    model = net()
    model.get_layer("logits").enable_lora(1)
    with pytest.raises(ValueError, match="logits .Dense. has LoRA weights"):
        pruning.plan_channels(model, macs=0.5)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a .quantize.")
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_a_net_that_keras_has_quantized_is_not_taken_for_one_of_floats(mode, tmp_path):
    """Its integers would be no parameters, its packed pairs of them half as many."""
    model = net()
    model.quantize(mode)  # of its layers Keras quantizes the dense ones
    takes = (
        quantize_aware,
        measure.parameters,
        lambda made: measure.profile(made, latency=False),
        lambda made: export.litert(made, tmp_path / "net.tflite"),
        lambda made: export.saved_model(made, tmp_path / "net"),
        lambda made: export.archive(made, tmp_path / "net.limbeck"),
    )
    for take in takes:
        with pytest.raises(
            ValueError, match=rf"'net' is quantized already, by Keras \(.*: {mode}\)"
        ):
            take(model)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 4, 4, 2), [[[[0.0, np.nan]]]]), "image 0 of a batch has a pixel"),
        ({"image": np.zeros((2, 4, 4, 2))}, "takes an array of images, got {'image"),
    ],
)
def test_images_that_no_net_could_see_are_not_scored(images, message):
    with pytest.raises(ValueError, match=message):
        measure.logits(net(), [images])


@pytest.mark.parametrize("threads", [0, -1, "2", True])
def test_a_number_of_threads_is_no_matter_of_the_file(threads, tmp_path):
    with pytest.raises(ValueError, match="threads must be"):
        export.load(tmp_path, threads=threads)


def test_data_that_are_gone_through_once_are_refused_before_training():
    decay = pruning.PolynomialDecay(0.5, 0, 9)
    for asked in (
        lambda data: pruning.Prune(decay, saliency=pruning.Wanda(data)),
        lambda data: pruning.RigL(0.5, data, 9),
    ):
        with pytest.raises(ValueError, match="gone through once only: give a list"):
            asked(iter([]))
        asked([])
        asked(lambda: iter([]))
    pruning.Prune(HALF, saliency=pruning.Wanda(iter([])))


def test_a_penalty_and_a_training_that_are_none():
    with pytest.raises(ValueError, match=r"penalty must be Slimming\(...\), .* got 's"):
        pruning.SparseChannels("slimming")
    with pytest.raises(ValueError, match="train must be a function of a list of callb"):
        pruning.find_ticket(net(), None, final=0.5, rounds=1)
    with pytest.raises(ValueError, match="no step with the callbacks that it was give"):
        pruning.find_ticket(net(), lambda callbacks: None, final=0.5, rounds=1)


def test_a_layer_that_lost_all_its_weights_is_named():
    learning = pruning.l0_gates(net(), examples=9, exempt="logits")
    learning.get_layer("conv").log_alpha.assign(
        np.full(learning.get_layer("conv").log_alpha.shape, -9.0)
    )
    with pytest.warns(UserWarning, match="nothing is left of conv/kernel: what lies"):
        pruning.plain_net(learning)


def test_a_penalty_has_its_full_weight_after_a_training_cut_in_its_warm_up():
    learning = pruning.l0_gates(net(), examples=9)
    callback = pruning.LearntSparsity(warmup=4)
    callback.set_model(learning)
    callback.on_epoch_begin(1)
    assert float(learning.get_layer("conv").factor) == 0.25
    callback.on_train_end()
    assert float(learning.get_layer("conv").factor) == 1.0


PATHS = {
    "size": measure.size,
    "zipped_size": measure.zipped_size,
    "board": measure.board,
    "load": export.load,
    "load_model": export.load_model,
    "load_plan": pruning.load_plan,
    "load_precision_plan": quantization.load_precision_plan,
    "litert": lambda wrong: export.litert(net(), wrong),
    "saved_model": lambda wrong: export.saved_model(net(), wrong),
    "archive": lambda wrong: export.archive(net(), wrong),
    "micro": lambda wrong: export.micro(wrong, "net.h"),
}


@pytest.mark.parametrize("what", PATHS)
def test_what_is_no_path_is_refused(what):
    """As models are, where they and paths change places."""
    for wrong in (net(), None, 3):
        with pytest.raises(ValueError, match="expected the path of a file, got"):
            PATHS[what](wrong)
