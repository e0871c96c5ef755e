"""`python -m probes.autopsy`."""

import sys

from probes.autopsy.command import main

if __name__ == "__main__":
    sys.exit(main())
