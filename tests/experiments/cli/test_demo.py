"""`limbeck demo`: bad input is refused before a run folder is made."""

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "mnits"], "no data called 'mnits' (did you mean mnist?); choose"),
        (["--stages", "teach"], "no stage called 'teach' (did you mean teacher?); ch"),
        (["--set", "teacher.net.name=resnet21"], "'resnet21' (did you mean resnet20?)"),
        (["--set", "teacher.epochs=3"], "no field called 'epochs'"),
        (
            ["--set", "student.net.options.widht=1"],
            "no option 'widht' (did you mean width?)",
        ),
        (["--data", "digits"], "alexnet_small takes images of 28 to 64 px"),
        (["--data", "folder:nowhere"], "nowhere"),
    ],
)
def test_wrong_values_are_refused(arguments, message, refusal, tmp_path):
    line = refusal("demo", "--smoke", "--out", tmp_path / "run", *arguments)
    assert message in line
    assert not (tmp_path / "run").exists()


def test_a_folder_with_one_class_is_refused(refusal, tmp_path):
    (tmp_path / "photos/cat").mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(tmp_path / "photos/cat/1.png")
    line = refusal(
        "demo", "--data", f"folder:{tmp_path}/photos", "--out", tmp_path / "run"
    )
    assert "class" in line
    assert not (tmp_path / "run").exists()


def test_an_unreadable_image_is_named(refusal, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"photos/{name}/{i}.jpg")
    (tmp_path / "photos/dog/3.jpg").write_bytes(b"no image")
    line = refusal(
        "demo", "--data", f"folder:{tmp_path}/photos", "--out", tmp_path / "run"
    )
    assert "dog/3.jpg" in line and "--skip-bad-images" in line
