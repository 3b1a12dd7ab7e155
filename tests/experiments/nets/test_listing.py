"""`limbeck nets`: the catalogue and a net's layers, as text, as JSON, as a picture."""

import json
import math

import keras
import pytest
from keras import layers

import architectures
from experiments.cli import main as cli
from experiments.nets import listing as nets


def printed(capsys, *arguments):
    assert cli.main(["nets", *arguments]) == 0
    return capsys.readouterr().out


def test_the_catalogue_has_every_net_under_its_paper(capsys):
    lines = printed(capsys).splitlines()
    assert max(map(len, lines)) <= 110
    titles = {card.paper for card in map(architectures.card, architectures.names())}
    listed, paper = {}, None
    for line in lines[2 : lines.index("")]:
        if line.startswith("  "):
            listed[line.split()[0]] = paper
        else:
            paper = line.rpartition(" (")[0]
    assert titles == set(listed.values())
    assert listed == {n: architectures.card(n).paper for n in architectures.names()}
    [resnet20] = [line for line in lines if line.split()[:1] == ["resnet20"]]
    assert resnet20.split()[1:] == (
        ["32x32x3", "269,722", "40.6", "M", "91.25", "–", "h", "akamaster"]
    )
    assert "  h  top-1: table 6 of the paper; parameters: shortcut A" in lines


def test_the_catalogue_as_json(capsys):
    rows = json.loads(printed(capsys, "--json"))
    assert sorted(row["name"] for row in rows) == architectures.names()
    [vgg16] = [row for row in rows if row["name"] == "vgg16"]
    assert vgg16["parameters"] == 138_357_544 and vgg16["year"] == 2014
    assert vgg16["weights"] == "https://download.pytorch.org/models/vgg16-397923af.pth"


def test_every_published_weight_has_a_release():
    """The table names the release; the address stands in the JSON."""
    addresses = [row["weights"] for row in nets.catalogue() if row["weights"]]
    assert len(addresses) == 20
    assert all(address.startswith(tuple(nets.RELEASES)) for address in addresses)


def test_layers_of_resnet20(capsys):
    lines = printed(capsys, "resnet20").splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["conv1"] == ["Conv2D", "32x32x16", "432", "442,368"]
    assert rows["stage1_block1_add"] == (
        ["Add", "32x32x16", "–", "–", "stage1_block1_bn2,", "relu1"]
    )
    assert rows["logits"] == ["Dense", "10", "650", "640"]
    assert rows["total"] == ["269,722", "40,551,040"]
    assert lines[-1].startswith("resnet20: 270 k parameters, 1.08 MB in float32;")


def test_layers_as_json_with_options(capsys):
    output = printed(
        capsys,
        *("resnet20", "--input-shape", "16,24,1", "--classes", "7", "--json"),
        *("--set", "shortcut=B", "--set", "zero_init=True"),
    )
    net = json.loads(output)
    layers = {layer["name"]: layer for layer in net["layers"]}
    assert net["input_shape"] == [16, 24, 1]
    assert layers["logits"]["output_shape"] == [7]
    shortcut = layers["stage2_block1_shortcut_conv"]
    assert (shortcut["kind"], shortcut["inputs"]) == ("Conv2D", ["stage1_block3_out"])
    assert shortcut["macs"] == 8 * 12 * 16 * 32
    assert net["parameters"] == sum(layer["parameters"] for layer in net["layers"])
    assert net["macs"] == sum(layer["macs"] for layer in net["layers"])
    assert net["card"]["parameters"] == 269_722  # of the paper's net, for comparison


@pytest.mark.parametrize("name", ["lenet5", "resnet56", "googlenet_cifar"])
def test_the_layers_sum_to_the_card(name):
    net = nets.as_dict(name, nets.build(name))
    card = architectures.card(name)
    assert (net["parameters"], net["macs"]) == (card.parameters, card.macs)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_draw(suffix, tmp_path, capsys):
    path = tmp_path / f"net{suffix}"
    output = printed(capsys, "lenet5", "--draw", str(path))
    assert f"Drawing: {path}" in output
    start = {".png": b"\x89PNG", ".svg": b"<?xml"}[suffix]
    assert path.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet21"], "no net called 'resnet21' (did you mean resnet20?); choose "),
        (["resnet20", "--draw", "net.jpg"], "is a .png or .svg file, got net.jpg"),
        (["resnet20", "--set", "depth=3"], "has no option 'depth'; it takes"),
        (["resnet20", "--set", "shortcut"], "has no option 'shortcut'; give NAME=VAL"),
        (
            ["resnet20", "--set", "shortcut=C"],
            "shortcut must be one of ('A', 'B', 'none')",
        ),
        (
            ["alexnet_small", "--set", "width=wide"],
            "width must be a number, got 'wide'",
        ),
        (["resnet20", "--input-shape", "4,4,3"], "images of at least 8 px"),
        (["--draw", "a.png", "--classes", "3"], "--classes, --draw: of which net?"),
    ],
)
def test_refusals(arguments, message, capsys):
    assert cli.main(["nets", *arguments]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("limbeck: ") and message in line


def test_a_shape_must_be_numbers(capsys):
    with pytest.raises(SystemExit):
        cli.main(["nets", "resnet20", "--input-shape", "32x32"])
    assert "must be as 32,32,3, got 32x32" in capsys.readouterr().err


@pytest.fixture
def own(tmp_path):
    """Somebody's net, of any image size."""
    image = keras.Input((None, None, 3), name="image")
    x = layers.Conv2D(4, 3, name="conv")(image) * 2.0
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    path = tmp_path / "own.keras"
    keras.Model(image, layers.Dense(5, name="logits")(x)).save(path)
    return str(path)


def test_layers_of_a_file(own, capsys):
    lines = printed(capsys, own, "--input-shape", "10,8,3").splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["conv"] == ["Conv2D", "8x6x4", "112", "5,184"]
    assert rows["total"] == ["137", "5,204"]
    listed = json.loads(printed(capsys, own, "--input-shape", "10,8,3", "--json"))
    assert listed["card"] is None and listed["input_shape"] == [10, 8, 3]
    assert [each["macs"] for each in listed["layers"]] == [0, 5184, 0, 0, 20]


def test_layers_of_a_net_of_keras_and_of_one_with_options(capsys):
    text = "keras.applications:MobileNetV2(alpha=0.35)"
    options = ("--input-shape", "32,32,3", "--classes", "7", "--json")
    listed = json.loads(printed(capsys, text, *options))
    assert listed["layers"][-1]["output_shape"] == [7]
    reference = keras.applications.MobileNetV2(
        alpha=0.35, input_shape=(32, 32, 3), classes=7, weights=None
    )
    learned = sum(math.prod(w.shape) for w in reference.trainable_weights)
    assert listed["parameters"] == learned
    thin = json.loads(printed(capsys, "alexnet_small(width=0.125)", "--json"))
    assert thin["parameters"] == 93_890


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--classes", "7"], "own.keras is as it is: leave out --classes"),
        (["--set", "width=1"], "own.keras is as it is: leave out --set"),
        (["--input-shape", "8,8,1"], "takes images of ?x?x3, not 8x8x1: leave out"),
        ([], "of any size: say of which its layers are listed, as in --input-shape"),
    ],
)
def test_what_a_file_cannot_be_is_refused(own, arguments, problem, capsys):
    assert cli.main(["nets", own, *arguments]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert problem in line


@keras.saving.register_keras_serializable("tests")
class OwnCall(keras.Model):
    """Subclassed: it has layers, and no graph."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize("more", [[], ["--input-shape", "4"], ["--json"]])
@pytest.mark.parametrize("kind", [OwnCall, keras.Sequential])
def test_a_net_without_a_graph_is_refused(kind, more, tmp_path, capsys):
    model = OwnCall() if kind is OwnCall else keras.Sequential([layers.Dense(2)])
    model.save(tmp_path / "net.keras")
    assert cli.main(["nets", str(tmp_path / "net.keras"), *more]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert f"needs a built functional or Sequential model, got {kind.__name__}" in line


def test_options_of_a_net_of_keras_stand_in_brackets(capsys):
    text = "keras.applications:MobileNetV2"
    for arguments in (["--set", "alpha=1"], ["--input-shape", "8,8,3"]):
        assert cli.main(["nets", text, *arguments]) == 2
        [line] = capsys.readouterr().err.strip().splitlines()
        assert "MobileNetV2" in line


def test_a_net_with_a_layer_that_cannot_be_counted(capsys, tmp_path):
    model = keras.Sequential(
        [keras.Input((6, 4)), layers.LSTM(3, name="lstm"), layers.Dense(2)], name="rows"
    )
    model.save(tmp_path / "rows.keras")
    lines = printed(capsys, str(tmp_path / "rows.keras")).splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["lstm"] == ["LSTM", "3", "96", "–"]
    assert rows["total"] == ["104", "–"]
    assert lines[-1].endswith("; multiply-accumulates of LSTM are not known.")
    picture = tmp_path / "rows.svg"
    printed(capsys, str(tmp_path / "rows.keras"), "--draw", str(picture))
    assert picture.exists()
    assert nets.as_dict("rows", model)["macs"] is None
