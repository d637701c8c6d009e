"""Walks through a page of the documentation as a reader would: every shell block, in order, in a shell.

`bursar` is on the path and works on a folder of its own; what each block prints is given back, so that a
test can compare it with what the page promises.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.house.sources import ROOT
from tests.support.patience import DEADLINE_SECONDS

_BLOCKS = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Walk:
    """A page and the folder in which it is walked."""

    page: str
    folder: Path

    def blocks(self) -> list[str]:
        """The page's shell blocks, in order."""
        text = (ROOT / "docs" / f"{self.page}.md").read_text()
        return [block.strip() for block in _BLOCKS.findall(text)]

    def run(self, block: str) -> str:
        """Run one block; what it printed."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BURSAR_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "BURSAR_DATA_DIR": str(self.folder / "ledger"),
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", block],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_SECONDS * 4,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        return done.stdout

    def run_all(self) -> list[str]:
        """Run every block; what each printed."""
        return [self.run(block) for block in self.blocks()]
