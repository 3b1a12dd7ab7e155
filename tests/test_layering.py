"""Imports run one way, and nothing slow is imported before it is needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "architectures": set(),
    "compression": set(),
    "experiments": {"architectures", "compression"},
}
FORBIDDEN_NAMES = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}


def imported_packages(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_nothing_lies_at_the_top_by_mistake():
    """What a trial leaves in the working directory is easily committed."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {name.split("/")[0] for name in listed.stdout.splitlines()} == {
        *("architectures", "compression", "experiments", "tests", ".ci"),
        *("pyproject.toml", "constraints.txt", "README.md", "Makefile"),
        *("LICENSE", ".gitignore"),
    }


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package):
    ours = MAY_IMPORT.keys() | {"tests"}
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        allowed = MAY_IMPORT[package] | {package}
        strangers = ours & set(imported_packages(path)) - allowed
        assert not strangers, f"{path.relative_to(ROOT)} imports {strangers}"


# These need it throughout; who writes a model imports them then.
TENSORFLOW = {"compression.export.serving", "compression.export.stable_names"}


LEGACY = {"tf_keras", "tensorflow_model_optimization"}


def imported_at_once(path):
    """Modules, in full, that a file imports when it is imported itself."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_tensorflow_is_imported_only_where_models_are_written():
    """On another backend nets are counted, pruned and taught without it."""
    rooms = ("architectures", "compression")
    for path in (path for room in rooms for path in (ROOT / room).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if name not in TENSORFLOW:
            imports = set(imported_at_once(path))
            assert not imports & {"tensorflow", *LEGACY, *TENSORFLOW}, path


def test_only_one_room_of_the_ground_floor_knows_tf_keras():
    for path in (ROOT / "compression").rglob("*.py"):
        if path.parent != ROOT / "compression/tfmot":
            assert not LEGACY & set(imported_packages(path)), path


PRIVATE = (
    "_nodes_by_depth", "_keras_history", "_functional", "_inbound_nodes",
    "_outbound_nodes", "_flatten_layers", "_inputs_struct", "_outputs_struct",
    "_nodes", "_trainable_variables", "_run_through_graph",
)  # fmt: skip


def attributes(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value  # of a getattr


def test_only_one_file_reads_keras_private_graph():
    files = {path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py")}
    [graph] = [path for path in files if path == ROOT / "compression/graph.py"]
    assert set(PRIVATE[:3]) <= set(attributes(graph))
    for path in files - {graph}:
        private = set(PRIVATE) & set(attributes(path))
        assert not private, f"{path.relative_to(ROOT)} reads {private}"


def test_no_room_without_an_idea():
    names = {p.name for package in MAY_IMPORT for p in (ROOT / package).rglob("*.py")}
    assert not names & FORBIDDEN_NAMES


def test_command_line_help_loads_nothing_slow():
    code = (
        "import sys; from experiments.cli import main as cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'keras', 'tensorflow', 'matplotlib', 'numpy'}\n"
        "heavy |= {'tensorflow_datasets'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )
