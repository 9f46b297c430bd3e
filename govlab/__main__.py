"""``python -m govlab``: as ``govlab`` on the command line."""

import sys

from govlab.commands.main import main

sys.exit(main())
