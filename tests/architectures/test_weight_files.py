"""Files of weights: what can be read is read, all else is refused by name."""

import json
import struct
import zipfile

import numpy as np
import pytest

from architectures.weight_files import CONTAINERS, given_path, read

ONES = {"a": np.ones(2, "float32"), "b": np.full((1, 2), 3.0, "float32")}


def write_safetensors(path, header, content=b""):
    """From the format's description: length, JSON, bytes of the tensors."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + content)
    return path


def one_tensor(dtype, size):
    return {"a": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}


def test_bfloat16_of_safetensors(tmp_path):
    path = write_safetensors(
        tmp_path / "a.SafeTensors", one_tensor("BF16", 2), b"\xc0?"
    )
    assert read(path)["a"].astype("float32") == [1.5]


ENTRY = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


@pytest.mark.parametrize(
    ("header", "content"),
    [
        (one_tensor("F8_E4M3", 1), b"0"),
        (one_tensor("F8_E5M2", 1), b"0"),
        (one_tensor("F4", 1), b"0"),
        (one_tensor("F33", 4), b"0000"),
        (one_tensor("F32", 8), b"0" * 8),
        (one_tensor("F32", 4), b"000"),
        (one_tensor("F32", 4), b"00000"),
        ({"a": 3}, b""),
        ([], b""),
        (b"{", b""),
        (b"\xff{}", b""),
        (b"{" + ENTRY + b"," + ENTRY + b"}", b"0000"),
    ],
)
def test_safetensors_that_cannot_be_read_are_named(header, content, tmp_path):
    path = write_safetensors(tmp_path / "odd.safetensors", header, content)
    with pytest.raises(ValueError, match=f"{path} is no whole safetensors file"):
        read(path)


def test_a_header_longer_than_the_file_is_refused(tmp_path):
    path = tmp_path / "odd.safetensors"
    for length in (3, 1 << 20, 1 << 62, (1 << 64) - 1):
        path.write_bytes(struct.pack("<Q", length) + b"{}")
        with pytest.raises(ValueError, match=f"{path} is no whole safetensors file"):
            read(path)


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_there_must_be_a_file(suffix, tmp_path):
    if suffix == "pth":
        pytest.importorskip("torch")
    path = tmp_path / f"net.{suffix}"
    with pytest.raises(FileNotFoundError, match=str(path)):
        read(path)
    path.mkdir()
    with pytest.raises(ValueError, match=f"{path} is a folder"):
        read(path)


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert given_path("~/net.pth") == tmp_path / "net.pth"
    with pytest.raises(ValueError, match="is known for ~no such user/net.pth"):
        given_path("~no such user/net.pth")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def tensors(torch):
    return {name: torch.from_numpy(array) for name, array in ONES.items()}


def is_ones(state):
    assert list(state) == list(ONES)
    return all((state[name] == array).all() for name, array in ONES.items())


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_once_or_twice(container, torch, tmp_path):
    path = tmp_path / "net.pth"
    about = {"epoch": torch.tensor(3), "arch": "resnet20", "optimizer": {"state": {}}}
    for content in (
        about | {container: tensors(torch)},
        {"state_dict": about | {container: tensors(torch) | {"epoch": 3}}},
        {"net": None, "model": "resnet20"} | {container: tensors(torch)},
    ):
        torch.save(content, path)
        assert is_ones(read(path))


def test_which_of_two_state_dicts_is_not_guessed(torch, tmp_path):
    torch.save(
        {"net": tensors(torch), "model": {"weights": tensors(torch)}},
        tmp_path / "net.pth",
    )
    both = r"net.pth holds several state dicts, in \['model'\]\['weights'\] and in"
    with pytest.raises(ValueError, match=both):
        read(tmp_path / "net.pth")


def test_bfloat16_and_parameters_of_pytorch(torch, tmp_path):
    half = {name: tensor.bfloat16() for name, tensor in tensors(torch).items()}
    half["a"] = torch.nn.Parameter(half["a"])
    torch.save(half, tmp_path / "net.pth")
    assert is_ones(read(tmp_path / "net.pth"))


def odd_tensors(torch):
    return {
        "sparse": torch.eye(2).to_sparse(),
        "csr": torch.eye(2).to_sparse_csr(),
        "quantized": torch.quantize_per_tensor(torch.eye(2), 0.1, 0, torch.qint8),
        "meta": torch.empty(2, device="meta"),
        "meta bfloat16": torch.empty(2, device="meta", dtype=torch.bfloat16),
        "float8": torch.ones(2).to(torch.float8_e4m3fn),
    }


@pytest.mark.filterwarnings("ignore")  # PyTorch says that some of these are beta
def test_tensors_that_are_no_arrays_are_named(torch, tmp_path):
    for kind, tensor in odd_tensors(torch).items():
        path = tmp_path / f"{kind}.pth"
        torch.save(tensors(torch) | {"odd": tensor}, path)
        with pytest.raises(
            ValueError, match=f"{path}, nothing was .*: odd is no plain"
        ):
            read(path)


def test_content_that_is_no_state_dict_is_named(torch, tmp_path):
    endless = {}
    endless["model"] = endless
    path = tmp_path / "odd.pth"
    for content in (
        {"state_dict": None},
        {"state_dict": [torch.ones(2)]},
        {"model": {"net": {"weights": {"net": tensors(torch)}}}},
        {0: 1.0},
        {},
        endless,
    ):
        torch.save(content, path)
        with pytest.raises(ValueError, match=f"{path} holds no tensors by name"):
            read(path)
    for content in ([torch.ones(2)], torch.ones(2), 3, None):
        torch.save(content, path)
        with pytest.raises(ValueError, match=f"{path} holds a .*, not a state dict"):
            read(path)


def test_a_zip_of_something_else_is_refused(torch, tmp_path):
    path = tmp_path / "net.pth"
    for name in ("a.txt", "net/data.pkl", "net/constants.pkl"):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(name, "something else")
        with pytest.raises(ValueError, match=f"{path} is no whole PyTorch file"):
            read(path)


def test_no_refusal_advises_to_run_the_file(torch, tmp_path):
    torch.save(torch.nn.Linear(1, 1), tmp_path / "net.pth")
    with pytest.raises(ValueError, match="Unsupported global") as refusal:
        read(tmp_path / "net.pth")
    assert "trust" not in str(refusal.value)


@pytest.mark.filterwarnings("ignore")  # PyTorch's, of versions that bytes now spell
@pytest.mark.parametrize("form", ["safetensors", "pth", "old pth"])
def test_damaged_files_are_named_or_read(form, tmp_path, request):
    """Cut at any length, or with bytes that changed."""
    path = tmp_path / f"net.{form[-11:].split()[-1]}"
    if form == "safetensors":
        header = {"__metadata__": {"a": "b"}} | one_tensor("F32", 4)
        write_safetensors(path, header, b"0000")
    else:
        torch = request.getfixturevalue("torch")
        torch.save(tensors(torch), path, _use_new_zipfile_serialization=form == "pth")
    whole = path.read_bytes()
    for length in range(0, len(whole), 1 if len(whole) < 500 else 31):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"{path} is no whole"):
            read(path)
    dice = np.random.default_rng(0)
    for _ in range(100):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[dice.integers(len(whole), size=3)] = dice.integers(256, size=3)
        path.write_bytes(damaged.tobytes())
        try:
            read(path)  # other numbers are still numbers
        except ValueError as error:
            assert str(path) in str(error)
