"""A walk through a page of the documentation as a reader would go: every shell block, in order, in a shell.

`bursar` is on the path and works on a folder of its own; what each block prints is given back, so that a
test can compare it with what the page promises.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.house.sources import ROOT
from tests.support.patience import DEADLINE_SECONDS

_BLOCKS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
_NOT_PASSED = ("BURSAR_", "COVERAGE_")
"""A reader has no settings yet; and commands that are measured take half as long again."""


def walk(page: str, data: Path) -> list[str]:
    """Run the shell blocks of `docs/<page>.md` beside this data folder; what each printed, in order."""
    return [_run(block, data) for block in blocks_of(page)]


def walk_in_one_shell(page: str, data: Path, **variables: str) -> list[str]:
    """The same in one shell that has these variables: for pages whose blocks go on from each other."""
    end = "--end-of-block--"
    printed = _run(f"\necho {end}\n".join(blocks_of(page)), data, **variables)
    return printed.split(f"{end}\n")


def blocks_of(page: str) -> list[str]:
    """The shell blocks of `docs/<page>.md`."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    return [block.strip() for block in _BLOCKS.findall(text)]


def _run(block: str, data: Path, **variables: str) -> str:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED)},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "BURSAR_DATA_DIR": str(data),
        "COLUMNS": "200",
        "NO_COLOR": "1",
        **variables,
    }
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", block],
        cwd=data.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS * 4,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}"
    return done.stdout
