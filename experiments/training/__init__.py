"""One `fit` for every stage: settings, optimizer, precision, progress, resuming."""
