"""`limbeck quantize`: costs explained and drawn; files written, with plans beside."""

import keras
import pytest

from compression import export, quantization
from experiments.cli import main as cli
from experiments.cli import quantize, unseen
from experiments.deployment import Deployment

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A net of three layers for `digits`, and what it was trained on beside it."""
    keras.utils.set_random_seed(0)
    x = image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(x)
    x = keras.layers.Flatten(name="flat")(x)
    model = keras.Model(image, keras.layers.Dense(10, name="logits")(x), name="net")
    path = tmp_path_factory.mktemp("models") / "net.keras"
    model.save(path)
    Deployment((8, 8, 1), (0.3,), (0.3,), tuple("0123456789")).write_beside(path)
    return path


@pytest.fixture(autouse=True)
def _few_images(monkeypatch):
    monkeypatch.setattr(quantize, "CALIBRATION", 64)


def done(*words):
    assert cli.main(["quantize", *map(str, words), "--data", "digits"]) == 0


def test_costs_are_explained_and_drawn(net, tmp_path, capsys):
    picture = tmp_path / "costs.png"
    done(net, "--explain", "--draw", picture, "--images", 40)
    out = capsys.readouterr().out
    assert out.startswith("What the layers of net cost\nlayer")
    lines = [line.split() for line in out.splitlines()]
    found = {(words[0], words[2]) for words in lines if len(words) == 7}
    assert found == {
        *(("conv", "int8"), ("conv", "int4"), ("logits", "int8"), ("logits", "int4")),
        ("image", "int8"),
    }
    assert "on 40 validation images" in out
    assert out.endswith(f"Drawing: {picture}\n")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    vector = picture.with_suffix(".svg")
    done(net, "--explain", "--draw", vector, "--images", 40, "--skip", "logits")
    assert "</svg>" in vector.read_text()
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "costs.png",
        "costs.svg",
    ]


def test_a_mixed_file_and_its_plan_which_is_edited(
    net, tmp_path, capsys, refusal, monkeypatch
):
    monkeypatch.setattr(quantize, "CHECKED", 60)
    out, plan_file = tmp_path / "mixed.tflite", tmp_path / "mixed.plan.json"
    done(net, "--max-drop", 100, "--out", out, "--images", 40)
    printed = capsys.readouterr().out
    assert "layers: 2 in int4, 1 in int8; 2 plans were tried" in printed
    # 36 weights of the convolution, 360 of the dense layer.
    assert "198 bytes, 50.0% less than 396 in int8; 1,584 in float32" in printed
    assert "top-1 on 100 validation images: " in printed
    assert "top-1 on 79 others, which chose nothing: " in printed
    assert printed.endswith(f" bytes\n{out}\n{plan_file}\n")
    assert f"{out.stat().st_size:,} bytes" in printed
    assert (tmp_path / "mixed.deploy.json").exists()
    plan = quantization.load_precision_plan(plan_file)
    assert plan.layers == {"image": "int8", "conv": "int4", "logits": "int4"}
    before = out.read_bytes()
    line = refusal("quantize", net, "--data", "digits", "--max-drop", 1, "--out", out)
    assert f"{out} exists" in line and out.read_bytes() == before

    plan_file.write_text(plan_file.read_text().replace('"conv": "int4"', '"conv": "x"'))
    words = ("--data", "digits", "--plan", plan_file, "--out", tmp_path / "b.tflite")
    assert cli.main(["quantize", *map(str, [net, *words])]) == 2
    assert "a precision called 'x'; choose from" in capsys.readouterr().err
    plan_file.write_text(
        plan_file.read_text().replace('"conv": "x"', '"conv": "float32"')
    )
    done(net, "--plan", plan_file, "--out", tmp_path / "b.tflite")
    assert (tmp_path / "b.tflite").stat().st_size != out.stat().st_size
    assert not (tmp_path / "b.plan.json").exists()


def test_images_that_chose_nothing_may_tell_another_tale(
    net, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(quantize, "CHECKED", 0)
    losses = iter([(0.4, 1.0), (2.6, 1.0), (0.4, 1.0), (2.4, 1.0)])
    monkeypatch.setattr(unseen, "lost", lambda *_, **__: next(losses))
    words = ("--max-drop", 1.5, "--images", 40)
    done(net, *words, "--out", tmp_path / "a.tflite")
    assert (
        "limbeck: others lose 2.60 points, by more than chance over 1.5: give a "
        "narrower bound, or more --images\n"
    ) in capsys.readouterr().err
    done(net, *words, "--out", tmp_path / "b.tflite")
    assert "others lose" not in capsys.readouterr().err


@pytest.mark.parametrize("precision", ["int8", "int4", "dynamic"])
def test_a_file_of_one_precision(net, precision, tmp_path, capsys):
    out = tmp_path / "net.tflite"
    words = ["quantize", str(net), "--precision", precision, "--out", str(out)]
    data = [] if precision == "dynamic" else ["--data", "digits"]
    assert cli.main(words + data) == 0
    assert capsys.readouterr().out.endswith(f" bytes\n{out}\n")
    dtype = "float32" if precision == "dynamic" else "int8"
    assert export.load(out).takes.dtype == dtype


DATA = ["--data", "digits"]
OUT = ["--out", "a.tflite"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (OUT, "ranges are read from train images: give --data"),
        ([*DATA, *OUT, "--precision", "dynamic"], "dynamic looks at no images: leave"),
        (DATA, "--out must be the .tflite file to write, got None"),
        (
            [*DATA, "--out", "a.keras"],
            "--out must be the .tflite file to write, got a.k",
        ),
        (
            [*DATA, *OUT, "--precision", "int2"],
            "no precision called 'int2'; choose from",
        ),
        ([*DATA, *OUT, "--max-drop", "much"], "must be a number, got 'much'"),
        ([*DATA, *OUT, "--max-drop", -1], "must be 0 to 100 percentage points, got -1"),
        ([*DATA, *OUT, "--max-drop", 1, "--precision", "int8"], "each say which bits"),
        (
            [*DATA, *OUT, "--max-drop", 1, "--plan", "p"],
            "--max-drop and --plan each say",
        ),
        ([*DATA, *OUT, "--plan", "none.json"], "none.json"),
        ([*DATA, *OUT, "--plan", "p", "--skip", "conv"], "leave out --skip"),
        ([*DATA, *OUT, "--skip", "conv"], "--skip goes with --explain, --max-drop or"),
        (
            [*DATA, *OUT, "--engine", "luck"],
            "no engine called 'luck'; choose from conv",
        ),
        ([*DATA, *OUT, "--max-drop", 1, "--engine", "luck"], "leave out --engine"),
        ([*DATA, *OUT, "--draw", "a.png"], "a picture of the costs: give --explain"),
        ([*DATA, *OUT, "--images", 9], "--images are those on which"),
        (
            [*OUT, "--precision", "dynamic", "--float-ends"],
            "gives float32 already: leave out --float-ends",
        ),
        (["--aware", *OUT, "--image-size", 8], "--image-size go with --data"),
        ([*DATA, "--out", "/dev/null/a.tflite"], "is no folder: '/dev/null'"),
        ([*DATA, "--explain", "--draw", "."], "a .png or .svg file"),
        (["--explain"], "what a layer costs is seen on images: give --data"),
        ([*DATA, "--explain", *OUT], "--explain writes no file: leave out --out"),
        ([*DATA, "--explain", "--max-drop", 0], "leave out --max-drop"),
        ([*DATA, "--explain", "--draw", "a.pdf"], "a .png or .svg file"),
        ([*DATA, "--explain", "--images", 0], "must be at least 1, got 0"),
    ],
)
def test_refusals(words, message, net, tmp_path, monkeypatch, refusal):
    monkeypatch.chdir(tmp_path)
    assert message in refusal("quantize", net, *words)
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused(refusal, tmp_path):
    line = refusal("quantize", tmp_path / "none.keras", *DATA, "--explain")
    assert "there is no model at" in line
