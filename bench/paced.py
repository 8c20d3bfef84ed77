"""Make so many calls a second for so long: what a busy service does, and not all that it can.

    python -m bench.paced RATE SECONDS

A thousand reads of a byte from /dev/zero, a sleep until the next thousand are due, and so on.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import repeat

AT_ONCE = 1000


def main() -> None:
    rate, seconds = (float(word) for word in sys.argv[1:])
    zero, read, total = os.open("/dev/zero", os.O_RDONLY), os.read, int(rate * seconds)
    begin, done = time.monotonic(), 0
    while done < total:
        for _ in repeat(None, AT_ONCE):
            read(zero, 1)
        done += AT_ONCE
        ahead_s = begin + done / rate - time.monotonic()
        if ahead_s > 0:
            time.sleep(ahead_s)


if __name__ == "__main__":
    main()
