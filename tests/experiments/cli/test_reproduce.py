"""`limbeck reproduce`: what it lists and what it refuses."""

from experiments import recipes
from experiments.cli import main as cli


def test_without_a_name_all_experiments_are_listed(capsys):
    assert cli.main(["reproduce"]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = [[name, recipes.title(name)] for name in recipes.REPRODUCIBLE]
    assert [line.split(maxsplit=1) for line in lines] == expected
    assert "hinton2015" in recipes.REPRODUCIBLE


def test_refusals(refusal):
    line = refusal("reproduce", "hinton2105")
    assert (
        "no published experiment called 'hinton2105' (did you mean hinton2015?); ch"
        in line
    )
    assert "hinton2015" in line
    line = refusal("reproduce", "hinton2015", "--full")
    assert "hinton2015 has no longer setting" in line
