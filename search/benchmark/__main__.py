"""`python -m search.benchmark`."""

import sys

from search.benchmark.command import main

if __name__ == "__main__":
    sys.exit(main())
