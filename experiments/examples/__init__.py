"""Programs that use a file, written beside it: see `experiments/deployment.py`."""
