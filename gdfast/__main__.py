"""`python -m gdfast`: the command, where it is not on the path."""

import sys

from gdfast.cli import main

sys.exit(main())
