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
    text = (ROOT / "docs" / f"{page}.md").read_text()
    return [_run(block.strip(), data) for block in _BLOCKS.findall(text)]


def _run(block: str, data: Path) -> str:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED)},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "BURSAR_DATA_DIR": str(data),
        "COLUMNS": "200",
        "NO_COLOR": "1",
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
