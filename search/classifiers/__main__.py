"""`python -m search.classifiers`."""

import sys

from search.classifiers.command import COMMAND
from search.session.command import main

if __name__ == "__main__":
    sys.exit(main(COMMAND))
