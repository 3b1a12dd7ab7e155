"""Settings of a training that are refused when they are made."""

import pytest

from experiments.training.settings import Training


def test_bad_settings():
    with pytest.raises(ValueError, match="no optimizer called 'lion'; choose from sgd"):
        Training(epochs=1, optimizer="lion")
    with pytest.raises(ValueError, match="batch_size must be positive, got 0"):
        Training(epochs=1, batch_size=0)
    with pytest.raises(ValueError, match="no keep called 'first'; choose from best, l"):
        Training(epochs=1, keep="first")
    with pytest.raises(ValueError, match="patience waits for a better epoch"):
        Training(epochs=9, keep="last", patience=2)
    with pytest.raises(ValueError, match="no averaging called 'polyak'; choose from N"):
        Training(epochs=1, averaging="polyak")
    with pytest.raises(ValueError, match=r"averaging_from must be in \[0, 1\), got 1"):
        Training(epochs=1, averaging_from=1)
    with pytest.raises(ValueError, match="accumulation must be positive, got 0"):
        Training(epochs=1, accumulation=0)
    with pytest.raises(ValueError, match="epochs must be at most 2147483647, got 1000"):
        Training(epochs=10**20)
    with pytest.raises(ValueError, match="no warm-up: leave warmup_epochs at 0, got 2"):
        Training(epochs=1, schedule="plateau", warmup_epochs=2)
    with pytest.raises(ValueError, match=r"drop_factor must be in \(0, 1\), got 2"):
        Training(epochs=1, schedule="plateau", drop_factor=2)
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\), got 1"):
        Training(epochs=1, label_smoothing=1)
    with pytest.raises(ValueError, match="no class_weights called 'even'; choose from"):
        Training(epochs=1, class_weights="even")
    with pytest.raises(ValueError, match="class_weights and sampling both make up for"):
        Training(epochs=1, class_weights="balanced", sampling="balanced")
