"""A path that begins with ~ is one in the user's own folder."""

import keras
import numpy as np

from compression import export, measure, pruning, quantization
from compression.distillation import Views, cached_outputs


def test_whatever_is_written_and_read(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    image = keras.Input((4, 4, 2))
    flat = keras.layers.Flatten()(image)
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(flat))
    export.litert(model, "~/net.tflite")
    export.saved_model(model, "~/net")
    export.archive(model, "~/net.limbeck")
    export.micro("~/net.tflite", "~/net.h")
    for name in ("net.tflite", "net", "net.limbeck"):
        assert export.load(f"~/{name}").path == tmp_path / "home" / name
        assert measure.size(f"~/{name}") == measure.size(tmp_path / "home" / name)
        assert measure.zipped_size(f"~/{name}") > 0
    plan = pruning.ChannelPlan("net", {"a": 2}, {"a": (0,)})
    plan.save("~/plan.json")
    assert pruning.load_plan("~/plan.json") == plan
    precisions = quantization.PrecisionPlan("net", {"logits": "int8"})
    precisions.save("~/precision.json")
    assert quantization.load_precision_plan("~/precision.json") == precisions
    images = np.zeros((2, 4, 4, 2), "float32")
    views = Views(lambda view, first: [images[first:]], images=2, key="zeros")
    with cached_outputs(model, views, root="~/cache", log=str) as cached:
        assert cached.folder.parent == tmp_path / "home" / "cache"
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
