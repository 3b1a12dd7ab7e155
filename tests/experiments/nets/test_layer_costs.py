"""What a choice of bits is worth, in words."""

import pytest

from compression.quantization import Mixed, PrecisionPlan
from experiments.nets import layer_costs


@pytest.mark.parametrize(
    ("of_plan", "words"),
    [(300, "25.0% less than 400"), (1600, "300.0% more than 400"), (400, "0.0% less")],
)
def test_a_plan_may_take_more_than_int8_throughout(of_plan, words):
    """Of layers that stay float32, say."""
    plan = PrecisionPlan("net", {"conv": "float32"})
    found = Mixed(plan, (), 0.9, 0.9, 100, of_plan, 400, 1600, checks=3)
    assert f"{of_plan:,} bytes, {words}" in layer_costs.choice_in_words(found)
