"""What the tests of the verbs share: how a command refuses, and a model file."""

import pytest

from experiments.cli import main as cli


@pytest.fixture
def refusal(capsys):
    """Function of a command's words -> the one line with which it refuses."""

    def line_of(*words):
        try:
            status = cli.main([str(word) for word in words])
        except SystemExit as error:  # the parser's
            status = error.code
        assert status == 2
        [line] = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("limbeck")
        return line

    return line_of


@pytest.fixture(scope="package")
def model_file(tmp_path_factory):
    """A small net for `mnist5k`, with random weights."""
    import architectures

    model = architectures.build("alexnet_small", input_shape=(28, 28, 1), width=0.06)
    path = tmp_path_factory.mktemp("models") / "net.keras"
    model.save(path)
    return path
