"""Candidates that were tried, kept in Optuna's studies so that a search resumes."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna

from compression.one_line import first_line
from experiments.search.candidate import Candidate
from experiments.search.limits import Cost, Limits

OBJECTIVES = ["minimize", "minimize"]  # loss or errors, and what the file takes
DONE = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
CANDIDATE, COST, RESULT, REFUSAL = "candidate", "cost", "result", "refusal"


@dataclass(frozen=True)
class Result:
    """What a candidate's file does on validation images, after so much training.

    Attributes:
        top1: fraction that is right.
        loss: mean cross-entropy.
        epochs: of its training; 0: none.
        seconds: that all of it took.
        images_per_second: of the training; None: none.
    """

    top1: float
    loss: float
    epochs: int = 0
    seconds: float = 0.0
    images_per_second: float | None = None


@dataclass(frozen=True)
class Tried:
    """A candidate that was tried.

    Attributes:
        number: in its study.
        candidate: what was tried.
        cost: of its file.
        result: what the file does; None: it was not asked, since it takes too much.
    """

    number: int
    candidate: Candidate
    cost: Cost
    result: Result | None


class Trials:
    """A study of candidates: asks Optuna for the next one, and tells what came of it.

    Optuna prunes no trials that have two objectives; here a file that takes more than
    it may ends its trial before the costly part.

    Args:
        name: of the study.
        storage: a file for Optuna's journal, or a database's URL that several machines
            share.
        limits: what files may take.
        seed: of the sampler (TPE, multi-objective, Ozaki et al. 2020).
        suggest: makes a candidate of an Optuna trial.

    Raises:
        ValueError: as `opened`.
    """

    def __init__(
        self,
        name: str,
        storage: Path | str,
        limits: Limits,
        seed: int,
        suggest: Callable[[optuna.Trial], Candidate],
    ):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.limits = limits
        self._suggest = suggest
        self._study = optuna.create_study(
            study_name=name,
            storage=opened(storage),
            directions=OBJECTIVES,
            load_if_exists=True,
        )
        if isinstance(storage, Path):  # nobody else works on it
            self._take_up_what_was_killed()
        # After a resume another stream: the same one would ask for the same again.
        self._study.sampler = optuna.samplers.TPESampler(
            seed=seed + len(self._study.trials),
            n_startup_trials=8,
        )

    def add(self, settings: Mapping[str, Any]) -> None:
        """Have these settings tried next, unless they were already."""
        self._study.enqueue_trial(dict(settings), skip_if_exists=True)

    def _take_up_what_was_killed(self):
        for trial in self._study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
            self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            if trial.params:
                self._study.enqueue_trial(trial.params)

    def step(
        self,
        cost_of: Callable[[int, Candidate], Cost],
        result_of: Callable[[int, Candidate, Cost], tuple[Result, Cost]],
    ) -> Tried | None:
        """Try one candidate; None where it cannot be made, or its training diverged.

        Args:
            cost_of: of a trial's number and a candidate, what its file takes; raises
                ValueError where there is no such net.
            result_of: likewise and of that cost, what the file does, and what it takes
                then: trained weights zip to more or less than those before.
        """
        trial = self._study.ask()
        try:
            return self._tried(trial, cost_of, result_of)
        except (ValueError, FloatingPointError) as error:  # no such net; no loss left
            trial.set_user_attr(REFUSAL, str(error))
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return None

    def _tried(self, trial, cost_of, result_of):
        candidate = self._suggest(trial)
        trial.set_user_attr(CANDIDATE, candidate.as_dict())
        cost, result = cost_of(trial.number, candidate), None
        if self.limits.used(cost) <= 1:
            result, cost = result_of(trial.number, candidate, cost)
        used = self.limits.used(cost)
        trial.set_user_attr(COST, cost.as_dict())
        trial.set_constraint("limits", used - 1)  # TPE asks for 0 or less
        if result is None or used > 1:
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return Tried(trial.number, candidate, cost, None)
        trial.set_user_attr(RESULT, asdict(result))
        worse = result.loss if not result.epochs else 1 - result.top1
        self._study.tell(trial, [worse, used or cost.bytes])
        return Tried(trial.number, candidate, cost, result)

    @property
    def tried(self) -> Sequence[Tried]:
        """All that had a file, in their order."""
        found = []
        for trial in self._study.get_trials(deepcopy=False):
            known = trial.user_attrs
            if COST in known and trial.state in DONE:
                result = known.get(RESULT)
                found.append(
                    Tried(
                        trial.number,
                        Candidate(**known[CANDIDATE]),
                        Cost(**known[COST]),
                        None if result is None else Result(**result),
                    )
                )
        return found

    @property
    def refusals(self) -> Sequence[str]:
        """Why candidates could not be made, each reason once."""
        found = (trial.user_attrs.get(REFUSAL) for trial in self._study.trials)
        return tuple(dict.fromkeys(reason for reason in found if reason))

    def __len__(self):
        return sum(trial.state.is_finished() for trial in self._study.trials)


def opened(storage: Path | str) -> optuna.storages.BaseStorage:
    """Where trials are kept.

    Raises:
        ValueError: there is no such database, or it cannot be opened; names its URL.
    """
    if isinstance(storage, Path):
        _cut_torn_line(storage)
        journal = optuna.storages.journal
        return journal.JournalStorage(journal.JournalFileBackend(str(storage)))
    try:
        return optuna.storages.get_storage(storage)
    except Exception as error:  # Optuna's, SQLAlchemy's, those of the database's driver
        raise ValueError(
            f"the storage {without_password(storage)} cannot be opened: "
            f"{first_line(error)}; give a database's URL, such as sqlite:///trials.db"
        ) from error


def _cut_torn_line(journal):
    """Take away what a killed process had begun to write, or a full disk broke off.

    Optuna reads no journal that ends in the middle of a line.
    """
    if not journal.is_file():
        return
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(journal, whole)


def without_password(text: str) -> str:
    """A database's URL, or a command with one, for people and records."""
    return re.sub(r"(://[^/:@\s]*):[^@\s]*@", r"\1:***@", text)
