"""How a student is taught: what is refused when the recipe is made."""

import pytest

from experiments.stages.teaching import Teaching


def test_parts_are_losses_with_their_own_options():
    [soft, contrast] = Teaching("t", parts={"ContrastiveRepresentation": {}}).losses(10)
    assert contrast.images == 10 and soft.temperature == 4.0


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"Distiller": {}}, "no loss called 'Distiller'"),
        ({"Hint": {}}, "no loss called 'Hint'"),
        ({"Hints": {"layer": "fc1"}}, "Hints has no option layer; it takes teacher"),
        ({"Hints": {"teacher": "fc1"}}, "Hints: .*missing.*'student'"),
        ({"SoftTargets": {"weight": -1}}, "weight must not be negative, got -1"),
    ],
)
def test_bad_parts_are_refused_when_they_are_named(parts, problem):
    with pytest.raises(ValueError, match=problem):
        Teaching("t", parts=parts)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"temperature": 0.0}, "temperature must be positive, got 0"),
        ({"views": 0}, "views must be at least 1 .* got 0"),
        ({"soft_weight": -0.1}, "soft_weight must not be negative, got -0.1"),
        ({"label_weight": -0.1}, "label_weight must not be negative, got -0.1"),
        ({"soft_weight": 0, "label_weight": 0}, "every loss has weight 0"),
    ],
)
def test_bad_numbers_are_refused_at_once(setting, problem):
    with pytest.raises(ValueError, match=problem):
        Teaching("t", **setting)
