"""Published weights: what fits is loaded whole, what does not is refused whole."""

import dataclasses
import functools
import hashlib
import sys

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

import architectures
from architectures import load_published_weights, published_weights
from architectures.catalogue import CARDS
from architectures.published_weights import load_state_dict
from architectures.resnet import resnet_cifar


def resnet20_state(seed=0):
    """Random weights in the CIFAR ResNets' layout, written from its description."""
    shapes = {"conv1.weight": (16, 3, 3, 3), "linear.weight": (10, 64)}
    shapes["linear.bias"] = (10,)
    norms = {"bn1": 16}
    for stage, width in enumerate((16, 32, 64), start=1):
        for block in range(3):
            came = width // 2 if stage > 1 and block == 0 else width
            prefix = f"layer{stage}.{block}"
            shapes[f"{prefix}.conv1.weight"] = (width, came, 3, 3)
            shapes[f"{prefix}.conv2.weight"] = (width, width, 3, 3)
            norms |= {f"{prefix}.bn1": width, f"{prefix}.bn2": width}
    for norm, width in norms.items():
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = (width,)
    random = np.random.default_rng(seed)
    return {n: random.random(shape, "float32") for n, shape in shapes.items()}


@pytest.fixture(scope="module")
def state():
    return resnet20_state()


@pytest.fixture
def model():
    return architectures.build("resnet20")


def is_loaded(model, state):
    kernel = model.get_layer("stage2_block1_conv1").kernel.numpy()
    theirs = state["layer2.0.conv1.weight"]
    variance = model.get_layer("stage3_block3_bn2").moving_variance.numpy()
    logits = model.get_layer("logits").kernel.numpy()
    return (
        (kernel == theirs.transpose(2, 3, 1, 0)).all()
        and (variance == state["layer3.2.bn2.running_var"]).all()
        and (logits == state["linear.weight"].T).all()
    )


def test_every_weight_comes_from_the_file(model, state, tmp_path):
    assert sum(array.size for array in state.values()) == model.count_params()
    save_file(state, tmp_path / "net.safetensors")
    for weight in model.weights:
        weight.assign(np.full(weight.shape, np.nan))
    architectures.load_published_weights(model, tmp_path / "net.safetensors")
    assert is_loaded(model, state)
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


def test_counters_and_the_prefix_of_data_parallel_do_not_matter(model, state):
    dressed = {f"module.{name}": array for name, array in state.items()}
    dressed["module.bn1.num_batches_tracked"] = np.array(7)
    load_state_dict(model, dressed)
    assert is_loaded(model, state)


def test_a_dense_layer_behind_a_map_reads_it_in_its_own_order():
    """PyTorch flattens channel by channel, Keras pixel by pixel."""
    model = architectures.build("alexnet_owt", input_shape=(95, 127, 3), classes=2)
    high, wide, channels = model.get_layer("flatten").input.shape[1:]
    assert (high, wide, channels) == (2, 3, 256)
    weight = np.arange(4096 * 6 * 256, dtype="float32").reshape(4096, -1)
    state = torchvision_alexnet(weight)
    load_state_dict(model, state)
    kernel = model.get_layer("fc6").kernel.numpy()
    pixel, channel, unit = (1, 2), 37, 5
    ours = kernel.reshape(high, wide, channels, 4096)[*pixel, channel, unit]
    theirs = weight.reshape(4096, channels, high, wide)[unit, channel, *pixel]
    assert ours == theirs


def torchvision_alexnet(fc6):
    state = {"classifier.1.weight": fc6, "classifier.1.bias": np.zeros(4096)}
    for i, shape in {
        "features.0": (64, 3, 11, 11),
        "features.3": (192, 64, 5, 5),
        "features.6": (384, 192, 3, 3),
        "features.8": (256, 384, 3, 3),
        "features.10": (256, 256, 3, 3),
        "classifier.4": (4096, 4096),
        "classifier.6": (2, 4096),
    }.items():
        state[f"{i}.weight"] = np.zeros(shape, "float32")
        state[f"{i}.bias"] = np.zeros(shape[0], "float32")
    return state


def refused(model, state, *messages):
    before = [weight.numpy() for weight in model.weights]
    with pytest.raises(ValueError, match="nothing was loaded") as refusal:
        load_state_dict(model, state)
    for message in messages:
        assert message in str(refusal.value)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    return str(refusal.value)


def test_what_does_not_fit_is_listed_and_nothing_is_loaded(model, state):
    wrong = dict(state)
    del wrong["layer1.2.bn1.bias"]
    wrong["layer4.0.conv1.weight"] = np.zeros((1, 1, 1, 1))
    wrong["linear.weight"] = np.zeros((100, 64))
    message = refused(
        model,
        wrong,
        "'resnet20'",
        "layer1.2.bn1.bias is missing",
        "layer4.0.conv1.weight has no place",
        "linear.weight is (100, 64), should be (10, 64)",
    )
    assert message.count("\n") == 3


def test_a_transposed_kernel_is_no_fit(model, state):
    kernel = state["layer3.0.conv1.weight"]
    wrong = state | {"layer3.0.conv1.weight": kernel.transpose(1, 0, 2, 3)}
    refused(model, wrong, "is (32, 64, 3, 3), should be (64, 32, 3, 3)")


def test_another_nets_file_is_refused_briefly(state):
    deeper = architectures.build("resnet32")
    message = refused(deeper, state, "layer1.3.conv1.weight is missing", "and 40 more")
    assert message.count("\n") == 21


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lenet5", {}),
        ("mlp", {}),
        ("vgg11_cifar", {}),
        ("resnet20", {"convolution": "separable"}),
    ],
)
def test_a_net_without_a_layout_says_so(name, options, state):
    with pytest.raises(ValueError, match="has no published layout"):
        load_state_dict(architectures.build(name, **options), state)


def test_a_file_cut_short_is_refused(model, state, tmp_path):
    save_file(state, tmp_path / "whole.safetensors")
    whole = (tmp_path / "whole.safetensors").read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.safetensors").write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is no whole safetensors file"):
            architectures.load_published_weights(model, tmp_path / "cut.safetensors")


def test_a_file_must_be_there_and_of_a_known_kind(model, tmp_path):
    with pytest.raises(FileNotFoundError):
        architectures.load_published_weights(model, tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="must end in .safetensors"):
        architectures.load_published_weights(model, tmp_path / "net.h5")


def test_a_path_or_a_download_but_not_both(model):
    with pytest.raises(ValueError, match="one of the two"):
        architectures.load_published_weights(model)
    with pytest.raises(ValueError, match="one of the two"):
        architectures.load_published_weights(model, "a.safetensors", download=True)


@pytest.mark.parametrize("name", ["lenet5", "a net of mine"])
def test_what_nobody_published_cannot_be_downloaded(name):
    model = keras.Model(*[keras.Input((2,))] * 2, name=name)
    with pytest.raises(ValueError, match="no published weights are known"):
        architectures.load_published_weights(model, download=True)


def test_without_torch_a_torch_file_says_what_to_do(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for options in ({"path": tmp_path / "net.pth"}, {"download": True}):
        with pytest.raises(ImportError, match="install torch"):
            architectures.load_published_weights(model, **options)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".th"])
def test_torch_files_are_read(suffix, model, state, tmp_path):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    if suffix == ".th":  # as the CIFAR ResNets were published
        tensors = {f"module.{name}": tensor for name, tensor in tensors.items()}
        tensors = {"state_dict": tensors, "best_prec1": 91.73}
    path = tmp_path / f"net{suffix}"
    torch.save(tensors, path)
    architectures.load_published_weights(model, path)
    assert is_loaded(model, state)

    whole = path.read_bytes()
    for length in (0, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is no whole PyTorch file"):
            architectures.load_published_weights(model, path)


def test_a_torch_file_cannot_run_code(model, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"conv1.weight": functools.partial(print, "boo")}, tmp_path / "net.pth")
    with pytest.raises(ValueError, match="is no whole PyTorch file"):
        architectures.load_published_weights(model, tmp_path / "net.pth")


def test_a_torch_file_must_hold_a_state_dict(model, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save([torch.zeros(3)], tmp_path / "net.pth")
    with pytest.raises(ValueError, match="holds a list, not a state dict"):
        architectures.load_published_weights(model, tmp_path / "net.pth")


@pytest.mark.parametrize("given", [True, False])
def test_download_end_to_end(given, model, state, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    folder = tmp_path / "served"
    folder.mkdir()
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    torch.save(tensors, folder / "net.pth")
    digits = hashlib.sha256((folder / "net.pth").read_bytes()).hexdigest()[:8]
    name = f"net-{digits}.pth"
    (folder / "net.pth").rename(folder / name)
    card = dataclasses.replace(CARDS["resnet20"], weights=f"{folder.as_uri()}/{name}")
    monkeypatch.setitem(CARDS, "resnet20", card)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    cache = tmp_path / "cache" if given else None
    architectures.load_published_weights(model, download=True, cache=cache)
    assert is_loaded(model, state)
    assert ((cache or tmp_path / "home" / "limbeck") / name).exists()


def small_resnet(shortcut="A"):
    return resnet_cifar(8, input_shape=(8, 8, 3), classes=4, shortcut=shortcut)


def state_of(model, seed=0):
    """Arrays that fit, each value its own."""
    rng = np.random.default_rng(seed)
    return {
        name: rng.uniform(0.5, 1.5, slot.shape).astype("float32")
        for name, slot in published_weights._slots(model).items()
    }


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("conv1.weight", lambda w: w * np.nan, "conv1.weight is not finite"),
        ("linear.bias", lambda w: w * np.inf, "linear.bias is not finite"),
        ("linear.bias", lambda w: w.astype("f8") * 1e300, "is not finite in float32"),
        ("bn1.running_var", lambda w: -w, "bn1.running_var has negative variances"),
        ("conv1.weight", lambda w: w.astype("int64"), "conv1.weight holds int64"),
        ("linear.bias", lambda w: w > 1, "linear.bias holds bool"),
        ("linear.bias", lambda w: w.astype("complex64"), "holds complex64"),
    ],
)
def test_numbers_are_checked_before_any_is_assigned(name, change, words):
    model = small_resnet()
    before = model.get_weights()
    state = state_of(model)
    state[name] = change(state[name])
    with pytest.raises(ValueError, match=f"mine does not fit .*(?s:.*){words}"):
        load_state_dict(model, state, source="mine")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_name_that_is_there_twice_is_refused():
    model = small_resnet()
    state = state_of(model)
    state["module.linear.bias"] = 2 * state["linear.bias"]
    with pytest.raises(ValueError, match=r"has linear.bias twice, once as module\.lin"):
        load_state_dict(model, state)


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod.model."]
)
def test_names_of_other_repositories(prefix):
    model, other = small_resnet("B"), small_resnet("B")
    state = state_of(model)
    load_state_dict(model, state)
    theirs = {
        prefix + name.replace("linear.", "fc.").replace("shortcut", "downsample"): w
        for name, w in state.items()
    }
    assert any("downsample" in name for name in theirs)
    load_state_dict(other, theirs)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_prefix_that_only_some_names_have_is_no_prefix():
    model = small_resnet()
    state = state_of(model)
    state["module.linear.bias"] = state.pop("linear.bias")
    refused(model, state, "linear.bias is missing", "module.linear.bias has no place")


def test_projections_are_refused_by_a_net_without():
    theirs = state_of(small_resnet("B"))
    theirs = {name.replace("shortcut", "downsample"): w for name, w in theirs.items()}
    refused(small_resnet(), theirs, "layer2.0.downsample.0.weight has no place")


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_other_floats_that_fit_are_taken(dtype):
    model = small_resnet()
    state = {name: w.astype(dtype) for name, w in state_of(model).items()}
    load_state_dict(model, state)
    got = model.get_layer("logits").bias.numpy()
    np.testing.assert_array_equal(got, state["linear.bias"].astype("float32"))


def test_the_variables_type_sets_the_range():
    image = keras.Input((1, 1, 3))
    image = keras.layers.Flatten(name="flatten")(keras.layers.ReLU(name="relu1")(image))
    fc6 = keras.layers.Dense(2, name="fc6", dtype="float16")
    model = keras.Model(image._keras_history.operation.input, fc6(image))
    state = {
        "classifier.0.weight": np.full((2, 3), 1e5, "float32"),
        "classifier.0.bias": np.zeros(2, "float32"),
    }
    refused(model, state, "is not finite in float16: of 6 numbers 0 are NaN, 0 inf")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_damaged_files_are_named_whatever_is_wrong(suffix, tmp_path):
    model = small_resnet()
    path = tmp_path / f"net.{suffix}"
    if suffix == "pth":
        torch = pytest.importorskip("torch")
        torch.save({n: torch.tensor(w) for n, w in state_of(model).items()}, path)
    else:
        save_file(state_of(model), path)
    whole = path.read_bytes()
    dice = np.random.default_rng(0)
    for length in [0, 1, 8, 100, 10_000, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"net.{suffix}"):
            load_published_weights(model, path)
    for _ in range(40):
        damaged = bytearray(whole)
        for at in dice.integers(0, min(len(whole), 6000), 5):
            damaged[at] = dice.integers(256)
        path.write_bytes(damaged)
        try:
            load_published_weights(model, path)  # other numbers are still numbers
        except ValueError as error:
            assert str(path) in str(error)
