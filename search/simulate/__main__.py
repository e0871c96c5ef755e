"""`python -m search.simulate`."""

import sys

from search.simulate.command import main

if __name__ == "__main__":
    sys.exit(main())
