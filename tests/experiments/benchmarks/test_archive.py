"""`limbeck bench archive`, and the baseline in it."""

import io
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.benchmarks import archive, archive_nets, archive_table, nnc_peer
from experiments.benchmarks.deep_compression import decode, encode


@settings(max_examples=40)
@given(
    st.lists(st.integers(-3, 3) | st.just(0), max_size=120),
    st.integers(0, 70),
    st.booleans(),
)
def test_deep_compression_gives_back(values, gap, huffman):
    arrays = [np.array([*values, *gap * [0], *values], "f4"), np.array([0.1], "f4")]
    content = encode(arrays, huffman=huffman)
    found = decode(content, [array.shape for array in arrays], huffman=huffman)
    for ours, theirs in zip(arrays, found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_deep_compression_by_hand():
    """One value at 0 and one 18 zeros on: a zero fills in; 3 entries of 4 + 2 bits."""
    array = np.zeros(20, "f4")
    array[[0, 19]] = [0.5, -1]
    content = encode([array], huffman=False)
    assert len(content) == 2 + 4 + 2 * 4 + 2 + 1
    assert content[14:16] == bytes([0x0F, 0x20])  # gaps 0, 15 and 2
    assert content[16] == 0b10_00_01_00  # 0.5, a zero, -1


def test_the_made_nets_are_what_they_say():
    kernels = archive_nets.made("squeezenet", small=True)[::2]
    assert [kernel.shape for kernel in kernels] == [(3, 3, 64, 256), (1, 1, 512, 1000)]
    for kernel in kernels:
        assert np.count_nonzero(kernel) / kernel.size == pytest.approx(1 / 3, abs=1e-3)
        assert 150 < len(np.unique(kernel)) <= 256
    weights = sum(np.prod(shape) for shape in archive_nets._squeezenet())
    assert weights == 1_248_424 - 3_976  # of the paper's net, without biases


def test_the_quick_benchmark():
    lines = []
    result = archive.run(quick=True, log=lines.append)
    of = {row["codec"]: row for row in result["results"]}
    assert len(lines) == len(of) >= 5
    ours = of[archive.OURS]
    assert ours["bytes"] < 0.8 * of[archive.BASELINE]["bytes"]
    assert all(ours["bytes"] < row["bytes"] for row in of.values() if row is not ours)
    assert ours["encode_mb_s"] > 0 and ours["decode_mb_s"] > 0
    text = archive_table.as_text(result)
    assert "of Deep Compression's file" in " ".join(text.split())
    with pytest.raises(ValueError, match="no benchmark of 'nonet'"):
        archive.run(["nonet"])


STAND_IN = """
import io

import numpy as np


def compress(codes, **_):
    assert all(each.dtype == np.int32 for each in codes.values())
    file = io.BytesIO()
    np.savez(file, **codes)
    print("what it says of itself")
    return bytearray(file.getvalue())


def decompress(stream):
    if len(stream) < 100:
        raise ValueError("no stream")
    with np.load(io.BytesIO(stream)) as codes:
        return {name: codes[name] for name in codes.files}
"""


@pytest.fixture
def nncodec(tmp_path, monkeypatch):
    """Something in its place, that codes as little as the protocol needs."""
    (tmp_path / "nncodec").mkdir()
    (tmp_path / "nncodec/__init__.py").touch()
    (tmp_path / "nncodec/nnc.py").write_text(STAND_IN)
    about = tmp_path / "nncodec-9.8.dist-info/METADATA"
    about.parent.mkdir()
    about.write_text("Name: nncodec\nVersion: 9.8\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    peer = nnc_peer.Nnc(sys.executable)
    assert peer.version == "9.8"
    yield peer
    peer.close()


def test_what_the_standard_codec_is_given(nncodec):
    arrays = [
        np.float32([[-2, 0, 0.5, 0], [0.5, 0, 3, 0]]),
        np.float32([1, 1, 1, 4]),  # no zero
        np.random.default_rng(0).normal(size=50).astype("f4"),  # each its own
        np.zeros(2, "f4"),
    ]
    content = nncodec.encode(arrays)
    with np.load(io.BytesIO(content[content.index(b"PK") :])) as codes:
        assert codes["0000"].tolist() == [[-1, 0, 1, 0], [1, 0, 2, 0]]
        assert codes["0001"].tolist() == [0, 0, 0, 1]
        assert codes.files == ["0000", "0001", "0003"]
    for ours, theirs in zip(arrays, nncodec.decode(content, arrays), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(RuntimeError, match="nncodec: ValueError: no stream"):
        nncodec.decode(content[:300], arrays)


def test_a_python_without_the_standard_codec_is_refused(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="nncodec: ModuleNotFoundError: No module"):
        nnc_peer.Nnc(sys.executable)
    monkeypatch.setenv(nnc_peer.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(RuntimeError, match="LIMBECK_NNCODEC=.*none: .*No such file"):
        archive.run(quick=True)
