"""`python -m search.autoencoders`."""

import sys

from search.autoencoders.command import COMMAND
from search.session.command import main

if __name__ == "__main__":
    sys.exit(main(COMMAND))
