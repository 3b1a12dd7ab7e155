"""Effects and verdicts, worked by hand."""

import pytest
from scipy import stats

from experiments.recipes.ablation import claims, recipe
from experiments.recipes.ablation.claims import Claim, effects
from experiments.tables.summary import stage_summaries

CLAIM = Claim("more", "Nobody 2000, 1", "before", "after")
FALLS = Claim("less", "Nobody 2000, 1", "before", "after", sign=-1)


def effect(before, after, claim=CLAIM):
    rows = [
        {"stage": stage, "seed": seed, "net": "n", "data": "d", "top1": top1}
        for stage, values in (("before", before), ("after", after))
        for seed, top1 in enumerate(values)
    ]
    [found] = effects(stage_summaries(rows), [claim])
    return found


def test_an_effect_is_paired_by_seed():
    """Gains of 3, 2 and 1 points: mean 2, deviation 1, standard error 1/sqrt(3)."""
    found = effect([0.50, 0.60, 0.70], [0.53, 0.62, 0.71])
    assert found.gains == pytest.approx([3, 2, 1])
    assert found.mean == pytest.approx(2)
    assert found.deviation == pytest.approx(1)
    assert found.bound == pytest.approx(4.303 / 3**0.5)  # 2.48, more than the mean
    assert found.verdict == "not seen"


@pytest.mark.parametrize(
    ("claim", "after", "verdict"),
    [
        (CLAIM, [0.535, 0.625, 0.715], "held here"),  # 3.5, 2.5, 1.5: 2.5 > 2.48
        (FALLS, [0.535, 0.625, 0.715], "opposite"),
        (CLAIM, [0.465, 0.575, 0.685], "opposite"),
        (FALLS, [0.465, 0.575, 0.685], "held here"),
        (CLAIM, [0.5, 0.6, 0.7], "not seen"),
    ],
)
def test_the_verdict_is_the_intervals(claim, after, verdict):
    assert effect([0.5, 0.6, 0.7], after, claim).verdict == verdict


def test_one_seed_has_no_verdict():
    found = effect([0.5], [0.9])
    assert (found.deviation, found.bound, found.verdict) == (None, None, "")


def test_factors_are_students():
    for freedom, factor in claims.STUDENT.items():
        assert factor == pytest.approx(stats.t.ppf(0.975, freedom), abs=6e-4)


def test_only_what_was_measured_with_the_same_seeds_is_compared():
    rows = [
        {"stage": stage, "seed": seed, "net": "n", "data": "d", "top1": 0.5}
        for stage, seed in (("before", 0), ("after", 1))
    ]
    assert effects(stage_summaries(rows), [CLAIM]) == []
    assert effects(stage_summaries(rows[:1]), [CLAIM]) == []


def test_every_stage_serves_a_claim_and_every_claim_has_its_stages():
    compared = {
        stage for claim in claims.CLAIMS for stage in (claim.base, claim.changed)
    }
    for setting in (recipe.RECIPE, recipe.FULL):
        assert {stage.name for stage in setting.stages} == compared
