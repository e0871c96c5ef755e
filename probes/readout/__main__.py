"""`python -m probes.readout`."""

import sys

from probes.readout.command import main

if __name__ == "__main__":
    sys.exit(main())
