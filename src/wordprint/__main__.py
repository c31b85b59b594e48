"""`python -m wordprint`."""

import sys

from wordprint.cli import main

sys.exit(main())
