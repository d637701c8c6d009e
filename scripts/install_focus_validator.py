"""Installs focus-validator beside what it needs, for the test that validates FOCUS exports.

The newest version, 2.2.1, knows FOCUS 1.2. It says that it needs Python 3.12, for the sake of one line: a
backslash inside an f-string. On an older Python that line is rewritten here, to the same meaning; nothing
else is touched. It is taken by its hash, and runs from its own folder, where it looks for its data.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REQUIREMENT = Path(__file__).parent.parent / "tests/focus/validator.txt"
FOLDER = "validator"
"""Below the environment; the validator is run from there."""
_MODULE = "focus_validator/config_objects/focus_to_duckdb_converter.py"
_NEWER = """f"'{k.replace('\\"', '\\"\\"')}'" for k in ignore_keys"""
_OLDER = """"'" + k.replace('"', '""') + "'" for k in ignore_keys"""
_FIRST_WITHOUT = (3, 12)


def install(environment: Path) -> None:
    """Install it into a folder of this environment.

    Raises:
        CalledProcessError: pip could not; it has said why.
    """
    target = environment / FOLDER
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--ignore-requires-python", "--require-hashes", "--upgrade"]
    subprocess.run([*command, *options, "--target", str(target), "-r", str(REQUIREMENT)], check=True)
    if sys.version_info < _FIRST_WITHOUT:
        _rewrite(target / _MODULE)


def _rewrite(module: Path) -> None:
    text = module.read_text()
    if text.count(_NEWER) != 1:
        message = f"{module} is not what was expected; look at the line that joins `ignore_keys`."
        raise SystemExit(message)
    module.write_text(text.replace(_NEWER, _OLDER))


if __name__ == "__main__":
    install(Path(sys.argv[1]))
