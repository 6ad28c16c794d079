"""Print what the package needs, one a line, with the extras that are named: `requirements.py embeddings,grpc`.

For the image, which installs the dependencies before the package. It runs before anything is installed.
"""

import sys
import tomllib
from pathlib import Path
from typing import Any


def requirements(project: dict[str, Any], extras: list[str]) -> list[str]:
    """Return the dependencies of a project table, and those of its extras; an unknown extra ends the program."""
    optional: dict[str, list[str]] = project["optional-dependencies"]
    unknown = [extra for extra in extras if extra not in optional]
    if unknown:
        sys.exit(f"EXTRAS names {', '.join(unknown)}: give names from {', '.join(optional)}, with commas between")
    return [*project["dependencies"], *(line for extra in extras for line in optional[extra])]


if __name__ == "__main__":
    table = tomllib.loads(Path("pyproject.toml").read_text())
    print("\n".join(requirements(table["project"], [extra for extra in sys.argv[1].split(",") if extra])))
