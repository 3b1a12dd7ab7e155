"""A model's Keras config, as few bytes as it can be said in.

Nearly all of a config is defaults. `defaults.json` holds those of Keras 3.15's common
classes; it is part of the format, whatever later versions of Keras do: only what
differs from it is written. The text is then deflated, with a dictionary of what such
texts are made of.
"""

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

CLASS, WRAPPER, NODE, TENSOR = "", "@", "n", "~"
OWN = ("class_name", "config", "name", "inbound_nodes")  # said in other ways
BUILT = ("build_config", "compile_config")  # follow from the rest, or from training
FREE_TEXT, EXPANSION = 1 << 16, 64  # bytes that a text may have: of its own, a byte's
DICTIONARY = (
    b'"sigmoid","softmax","tanh","gelu","class_names":["airplane","automobile","bird",'
    b'"cat","deer","dog","frog","horse","ship","truck"],"mean":[0.,"std":[0.,'
    b'{"":"Dropout","rate":0.5,"n":"dropout"},{"":"Activation","activation":"relu",'
    b'"use_bias":false,"kernel_regularizer":{"":"L2","l2":0.0005},"padding":"same",'
    b'"kernel_initializer":{"":"HeNormal"},{"":"HeUniform"},{"":"LecunNormal"},'
    b'{"":"Add","name":"add","n":[{"args":[[{"~":"bn"},{"~":"relu"}]],"kwargs":{}}],'
    b'{"@":{"module":"architectures.layers","registered_name":"limbeck>'
    b'BatchNormalization"},"":"BatchNormalization","name":"bn1_1","n":"conv1_1"},'
    b'{"":"ReLU","name":"relu1_1","n":"bn1_1"},{"":"GlobalAveragePooling2D","name":'
    b'"pool","n":[32,32,3],"strides":[2,2],{"":"AveragePooling2D","pool_size":[3,3],'
    b'{"":"ZeroPadding2D","padding":[[1,1],[1,1]],{"":"DepthwiseConv2D",'
    b'{"model":{"":"Sequential","name":"sequential","layers":[{"":"InputLayer",'
    b'"batch_shape":[null,'
    b'"weights":[[3,3,64,64],[64],[1,1,128,128],[128],[256],[512],[1000],["uint32",2],'
    b'{"model":{"":"Functional","input_layers":[["image",0,0]],"layers":[{"":'
    b'"InputLayer","batch_shape":[null,28,28,1],"name":"image"},{"":"Conv2D",'
    b'"filters":20,"kernel_initializer":{"":"LecunUniform"},"kernel_size":[5,5],'
    b'"n":"image","name":"conv1"},{"":"MaxPooling2D","n":"conv1","name":"pool1"},'
    b'{"":"Flatten","n":"pool2","name":"flatten"},{"":"Dense","activation":"relu",'
    b'"kernel_initializer":{"":"LecunUniform"},"n":"flatten","name":"fc1","units":300}'
    b',{"":"Dense","n":"fc2","name":"logits","units":10}],"name":"lenet",'
    b'"output_layers":[["logits",0,0]]},"weights":[[5,5,1,20],[20],[784,300],[300],'
    b"[300,100],[100],[100,10],[10]]}"
)


def deflated(value: Any) -> bytes:
    """JSON, deflated (RFC 1951) with `DICTIONARY`."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    packer = zlib.compressobj(
        9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY
    )
    return packer.compress(text.encode()) + packer.flush()


def inflated(content: bytes) -> Any:
    """What `deflated` was given.

    Raises:
        ValueError: it is damaged, or becomes more text than any real one.
    """
    unpacker = zlib.decompressobj(-15, DICTIONARY)
    most = FREE_TEXT + EXPANSION * len(content)
    try:
        text = unpacker.decompress(content, most)
        if not unpacker.eof and unpacker.unconsumed_tail:
            raise ValueError(f"its description is longer than {most} characters")
        if not unpacker.eof or unpacker.unused_data:
            raise ValueError("its description is cut off, or something follows it")
        return json.loads(text)
    except (zlib.error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"its description is damaged: {error}") from error
    except RecursionError as error:
        raise ValueError("its description is nested too deeply") from error


def packed(config: Any) -> Any:
    """`config` without its defaults.

    Args:
        config: of `keras.saving.serialize_keras_object`.

    Raises:
        ValueError: it has a key that the packed form uses.
    """
    if isinstance(config, (list, tuple)):
        return [packed(item) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "__keras_tensor__":
        name, *indices = config["config"]["keras_history"]
        return {TENSOR: name if indices == [0, 0] else [name, *indices]}
    if CLASS in config or TENSOR in config:
        raise ValueError(
            f"a config with a key {CLASS!r} or {TENSOR!r} cannot be packed"
        )
    config = {key: value for key, value in config.items() if key not in BUILT}
    default = _defaults().get(config.get("class_name"))
    if default is None or not _covers(default["config"], config.get("config")):
        return {key: packed(value) for key, value in config.items()}
    wrapper = {
        key: packed(value)
        for key, value in config.items()
        if key not in OWN and (key not in default or default[key] != value)
    }
    short = {CLASS: config["class_name"]}
    if wrapper:
        short[WRAPPER] = wrapper
    if "inbound_nodes" in config:
        short[NODE] = _packed_nodes(config["inbound_nodes"])
    for key, value in config["config"].items():
        if key not in default["config"] or not _same(value, default["config"][key]):
            short[key] = packed(value)
    return short


def _packed_nodes(nodes):
    nodes = packed(nodes)
    if len(nodes) == 1 and nodes[0]["kwargs"] == {} and len(nodes[0]["args"]) == 1:
        sole = nodes[0]["args"][0]
        if isinstance(sole, dict) and isinstance(sole.get(TENSOR), str):
            return sole[TENSOR]
    return nodes


def unpacked(short: Any) -> Any:
    """What `packed` was given; tensors have neither shape nor type any more.

    Raises:
        ValueError: it is not as `packed` gives it.
    """
    if isinstance(short, list):
        return [unpacked(item) for item in short]
    if not isinstance(short, dict):
        return short
    if TENSOR in short:
        history = short[TENSOR]
        history = [history, 0, 0] if isinstance(history, str) else history
        inner = {"shape": [None], "dtype": "float32", "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": inner}
    if CLASS not in short:
        return {key: unpacked(value) for key, value in short.items()}
    short = dict(short)
    name = short.pop(CLASS)
    if not isinstance(name, str) or name not in _defaults():
        raise ValueError(f"it has a class that this version does not know, {name!r}")
    default = json.loads(json.dumps(_defaults()[name]))
    inner = default.pop("config")
    wrapper = unpacked(short.pop(WRAPPER, {}))
    nodes = short.pop(NODE, None)
    inner |= {key: unpacked(value) for key, value in short.items()}
    found = {**default, **wrapper, "class_name": name, "config": inner}
    if nodes is not None:
        found["name"] = inner.get("name")
        if isinstance(nodes, str):
            nodes = [{"args": [{TENSOR: nodes}], "kwargs": {}}]
        found["inbound_nodes"] = unpacked(nodes)
    return found


@cache
def _defaults():
    path = Path(__file__).with_name("defaults.json")
    return json.loads(path.read_text(encoding="utf-8"))


def _same(one, other):
    """1, 1.0 and True differ."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _covers(default, config):
    """Whether all defaults are in `config`, by name: none would be put in anew."""
    reserved = {CLASS, WRAPPER, NODE, TENSOR}
    return isinstance(config, dict) and default.keys() <= config.keys() - reserved
