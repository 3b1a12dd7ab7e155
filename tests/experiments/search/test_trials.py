from functools import partial

import pytest

from experiments.search.candidate import Candidate
from experiments.search.limits import Cost, Limits
from experiments.search.trials import Result, Trials, without_password


def suggest(trial):
    return Candidate(keep=trial.suggest_float("keep", 0.1, 1.0))


def cost_of(number, candidate):
    return Cost(int(1000 * candidate.keep), 1.0, 10)


def result_of(number, candidate, cost):
    return Result(top1=candidate.keep, loss=1 - candidate.keep), cost


@pytest.fixture
def made(tmp_path):
    return lambda **limits: Trials(
        "t", tmp_path / "journal.jsonl", Limits(**limits), 0, suggest
    )


def test_a_search_goes_on_where_it_was(made):
    first = made(bytes=500)
    for _ in range(3):
        first.step(cost_of, result_of)
    again = made(bytes=500)
    assert again.tried == first.tried and len(again) == 3
    again.step(cost_of, result_of)
    keeps = [each.candidate.keep for each in again.tried]
    assert len(set(keeps)) == 4  # not the same ones again


def test_two_machines_share_the_trials_of_a_database(tmp_path):
    """Each sees what the other has tried, under numbers of their own."""
    url = f"sqlite:///{tmp_path}/trials.db"
    here, there = (Trials("t", url, Limits(bytes=500), 0, suggest) for _ in range(2))
    for trials in (here, there, here, there):
        trials.step(cost_of, result_of)
    assert here.tried == there.tried and len(here) == len(there) == 4
    assert sorted(each.number for each in here.tried) == [0, 1, 2, 3]


def test_what_takes_too_much_is_not_asked(made):
    trials = made(bytes=500)
    trials.add({"keep": 0.9})
    trials.add({"keep": 0.4})

    def must_fit(number, candidate, cost):
        assert cost.bytes <= 500
        return result_of(number, candidate, cost)

    assert trials.step(cost_of, must_fit).result is None
    assert trials.step(cost_of, must_fit).result.top1 == pytest.approx(0.4)


def test_what_takes_too_much_once_trained_is_not_taken(made):
    """Trained weights zip to more or less than those before."""
    trials = made(bytes_zipped=500)

    def zipped(_, candidate):
        return Cost(1000, 1.0, 10, bytes_zipped=400)

    def trained(*_, now):
        return Result(0.9, 0.1, epochs=1), Cost(1000, 1.0, 10, bytes_zipped=now)

    too_much = trials.step(zipped, partial(trained, now=501))
    assert too_much.result is None and too_much.cost.bytes_zipped == 501
    fits = trials.step(zipped, partial(trained, now=450))
    assert fits.result.top1 == 0.9 and fits.cost.bytes_zipped == 450
    assert trials.tried == [too_much, fits]


def test_what_cannot_be_made_says_why_once(made):
    trials = made(bytes=500)

    def impossible(number, candidate):
        raise ValueError("no such net")

    assert trials.step(impossible, result_of) is None
    assert trials.step(impossible, result_of) is None
    assert trials.refusals == ("no such net",) and not trials.tried


def test_a_training_that_diverges_is_one_candidate_less(made):
    trials = made(bytes=1000)

    def diverges(number, candidate, cost):
        raise FloatingPointError("the loss is no number")

    assert trials.step(cost_of, diverges) is None
    assert trials.refusals == ("the loss is no number",) and not trials.tried
    assert trials.step(cost_of, result_of) is not None


def test_a_trial_that_was_killed_is_no_result(made):
    trials = made(bytes=500)
    trials.add({"keep": 0.3})

    def killed(number, candidate, cost):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trials.step(cost_of, killed)
    again = made(bytes=500)
    assert not again.tried
    # ... and is what comes next
    assert again.step(cost_of, result_of).candidate.keep == pytest.approx(0.3)


def test_a_database_can_be_shared(tmp_path):
    url = f"sqlite:///{tmp_path / 'search.db'}"
    here, there = (Trials("t", url, Limits(bytes=500), 0, suggest) for _ in range(2))
    here.step(cost_of, result_of)
    assert there.tried == here.tried


@pytest.mark.parametrize(
    "url", ["foo", "sqlite:////nonexistent/x.db", "nosuchdb://user:secret@host/x"]
)
def test_a_database_that_cannot_be_opened_is_named(url):
    with pytest.raises(ValueError, match="the storage .* cannot be opened") as told:
        Trials("t", url, Limits(bytes=500), 0, suggest)
    assert "secret" not in str(told.value)


def test_passwords_are_for_no_record():
    command = "limbeck compress net.keras --storage postgresql://me:s3cret@host/db"
    expected = "limbeck compress net.keras --storage postgresql://me:***@host/db"
    assert without_password(command) == expected
    for plain in ("--data folder:/a/b:c@d", "sqlite:///x.db", "postgresql://me@h/x"):
        assert without_password(plain) == plain


@pytest.mark.parametrize("lost", [1, 20, 200])
def test_a_journal_that_was_torn_is_gone_on_with(tmp_path, lost):
    """A process was killed while it wrote a line: what that said is tried again."""
    path = tmp_path / "journal.jsonl"
    trials = Trials("t", path, Limits(bytes=500), 0, suggest)
    for _ in range(3):
        trials.step(cost_of, result_of)
    before = trials.tried
    path.write_bytes(path.read_bytes()[:-lost])
    for count in (3, 4):
        again = Trials("t", path, Limits(bytes=500), 0, suggest)
        assert list(again.tried[:2]) == list(before[:2])
        again.step(cost_of, result_of)
        assert len(again.tried) >= count
