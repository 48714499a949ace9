"""A container's health check: ``python -m infra.healthy URL`` ends with 0 if the address answers 200."""

from __future__ import annotations

import sys

from infra.processes import answers

if __name__ == "__main__":
    sys.exit(not answers(sys.argv[1], timeout=5.0))
