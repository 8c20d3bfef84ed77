"""Let `python -m ior` be the command `ior`."""

import sys

from ior.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
