"""`python -m experiments.cli`: the command `limbeck` where it is not installed."""

import sys

from experiments.cli.main import main

sys.exit(main())
