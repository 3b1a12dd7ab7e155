"""A SavedModel from somewhere else cannot touch files when it is measured."""

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from compression import export
from compression.export.saved_model_ops import check_ops

IMAGE = tf.TensorSpec((None, 4), tf.float32, "image")


def saved(folder, side_effect):
    """A model that gives its input back, and does something else, too."""
    module = tf.Module()

    @tf.function(input_signature=[IMAGE])
    def serve(image):
        side_effect(image)
        return {"logits": tf.identity(image)}

    module.serve, module.scale = serve, tf.Variable(1.0)
    tf.saved_model.save(module, str(folder), {"serving_default": serve})
    return folder


def writes(path):
    return lambda image: tf.io.write_file(str(path), "gone")


def writes_in_a_loop(path):
    def body(i):
        tf.io.write_file(str(path), "gone")
        return i + 1

    return lambda image: tf.while_loop(lambda i: i < 2, body, [tf.constant(0)])


def writes_in_a_branch(path):
    def branch():
        tf.io.write_file(str(path), "gone")
        return 1

    return lambda image: tf.cond(tf.reduce_sum(image) > -1, branch, lambda: 0)


def writes_in_a_dataset(path):
    def write(number):
        tf.io.write_file(str(path), "gone")
        return number

    def reduced(image):
        return tf.data.Dataset.range(2).map(write).reduce(tf.int64.max, tf.minimum)

    return reduced


SIDE_EFFECTS = {
    "WriteFile": writes,
    "WriteFile of a loop": writes_in_a_loop,
    "WriteFile of a branch": writes_in_a_branch,
    "WriteFile of a dataset": writes_in_a_dataset,
    "PrintV2": lambda path: lambda x: tf.print(x, output_stream=f"file://{path}"),
    "ReadFile": lambda path: lambda _: tf.io.read_file("/etc/hostname"),
    "MatchingFiles": lambda path: lambda _: tf.io.matching_files("/etc/*"),
    "RestoreV2": lambda path: (
        lambda _: tf.raw_ops.RestoreV2(
            prefix="/etc/x",
            tensor_names=["a"],
            shape_and_slices=[""],
            dtypes=[tf.float32],
        )
    ),
    "SaveV2": lambda path: (
        lambda x: tf.raw_ops.SaveV2(
            prefix=str(path), tensor_names=["a"], shape_and_slices=[""], tensors=[x]
        )
    ),
    "EagerPyFunc": lambda path: lambda x: tf.py_function(lambda y: y, [x], tf.float32),
    "TextLineDataset": lambda path: (
        lambda _: tf.data.TextLineDataset("/etc/hostname").reduce("", lambda a, b: b)
    ),
}


@pytest.mark.parametrize("name", SIDE_EFFECTS)
def test_a_model_that_touches_files_is_not_loaded(name, tmp_path):
    victim = tmp_path / "victim"
    folder = saved(tmp_path / "model", SIDE_EFFECTS[name](victim))
    with pytest.raises(ValueError, match=rf"model reaches.*{name.split()[0]}.*not loa"):
        export.load(folder)
    assert not list(tmp_path.glob("victim*"))


def test_an_operator_in_what_restores_variables_is_found(tmp_path):
    """Only restoring itself is excused there."""
    path = saved(tmp_path / "model", lambda _: None) / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    library = model.meta_graphs[0].graph_def.library
    [restore] = (f for f in library.function if "restore" in f.signature.name)
    assert {"RestoreV2"} <= {node.op for node in restore.node_def}
    restore.node_def.add(name="extra", op="WriteFile")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="WriteFile"):
        export.load(tmp_path / "model")


def test_serving_must_not_call_what_restores_variables(tmp_path):
    path = saved(tmp_path / "model", lambda _: None) / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    library = model.meta_graphs[0].graph_def.library
    [restore] = (
        f.signature.name for f in library.function if "rest" in f.signature.name
    )
    [serve] = (
        f for f in library.function if f.signature.name.startswith("__inference_serve")
    )
    call = serve.node_def.add(name="extra", op="StatefulPartitionedCall")
    call.attr["f"].func.name = restore
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="RestoreV2"):
        check_ops(tmp_path / "model")


def test_a_model_in_chunks_is_refused(tmp_path):
    folder = saved(tmp_path / "model", lambda _: None)
    (folder / "saved_model.cpb").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be looked into"):
        export.load(folder)


def test_models_of_other_tools_are_loaded(tmp_path):
    """Keras's own export, printing to the terminal, and TensorFlow 1's graphs."""
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    model.export(tmp_path / "keras", verbose=False)
    assert export.load(tmp_path / "keras").input_shape == (4,)

    folder = saved(tmp_path / "prints", lambda x: tf.print(x))
    assert export.load(folder).input_shape == (4,)

    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, (None, 4), "image")
        kernel = v1.get_variable("kernel", (4, 3), use_resource=True)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(
            session, str(tmp_path / "v1"), {"image": image}, {"logits": image @ kernel}
        )
    assert export.load(tmp_path / "v1").input_shape == (4,)
