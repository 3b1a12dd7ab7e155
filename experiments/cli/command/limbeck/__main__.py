"""`python -m limbeck`."""

import sys

from limbeck import main

sys.exit(main())
