"""`python -m search.classifiers`."""

import sys

from search.classifiers.task import COMMAND
from search.session.command import main

if __name__ == "__main__":
    sys.exit(main(COMMAND))
