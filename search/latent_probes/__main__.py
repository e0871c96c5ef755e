"""`python -m search.latent_probes`."""

import sys

from search.latent_probes.command import COMMAND
from search.session.command import main

if __name__ == "__main__":
    sys.exit(main(COMMAND))
