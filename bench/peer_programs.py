"""Runs a peer's program with packages from PyPI, in an environment of its own that is made once.

The environment is made with `uv` below the scratch folder and never touches this project's. Where the
registry can't be reached the peer is left out by name; that is no fault. A program prints one JSON object.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.options import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.options import Options

INSTALL_SECONDS = 900
RUN_SECONDS = 1_800
PROGRAMS = Path(__file__).parent / "peer"


def peer_python(options: Options, package: str) -> Path | None:
    """A Python that has the package; None where it can't be installed."""
    folder = options.scratch / "peers" / package
    python = folder / "bin/python"
    done = folder / "installed"
    if done.exists():
        return python
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or "uv"
    say(f"installing {package} into {folder}")
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(python), package],
    ):
        try:
            subprocess.run(command, check=True, timeout=INSTALL_SECONDS, capture_output=True)
        except (OSError, subprocess.SubprocessError) as error:
            say(f"{package} is left out: it can't be installed ({error})")
            return None
    done.touch()
    return python


def run_peer(
    options: Options, package: str, program: str, arguments: Sequence[str] = ()
) -> dict[str, Any] | None:
    """What a program in `bench/peer/` printed; None where the package can't be had or the program failed."""
    python = peer_python(options, package)
    if python is None:
        return None
    command = [str(python), str(PROGRAMS / f"{program}.py"), *arguments]
    done = subprocess.run(command, capture_output=True, timeout=RUN_SECONDS, check=False)
    if done.returncode:
        say(f"{package} is left out: {done.stderr.decode(errors='replace')[-1500:]}")
        return None
    printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return printed
