"""What `make audit` runs: bandit over the code, pip-audit over what is locked; findings must be explained.

Those that are no faults stand in `docs/reference/audit.md`, each kind of each file with its number and why. A
finding more than is written there fails the run, and so does one less: then the page is out of date. A
package that could not be looked up has not been audited, which is a failure too. Both tools run in
environments that uv makes for them; nothing of theirs is installed beside Bursar. `make check` runs the
first half alone, which needs no advisories.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "audit.md"
UV = str(ROOT / ".venv" / "bin" / "uv")
BANDIT, PIP_AUDIT = "bandit==1.9.4", "pip-audit==2.10.1"
SOURCES = ("src", "clients/python/src")
_ROW = re.compile(r"\| (?P<check>[\w-]+) \| `(?P<place>[^`]+)` \| (?P<count>\d+) \| (?P<why>\S.*) \|")

Findings = Counter[tuple[str, str]]
"""How many findings there are of each check in each file, or of each advisory in each package."""


def explained(page: str) -> Findings:
    """What the page explains."""
    rows = _ROW.finditer(page)
    return Counter({(row["check"], row["place"]): int(row["count"]) for row in rows})


def found_by_bandit(report: dict[str, Any]) -> Findings:
    """What bandit found, as its JSON says it."""
    return Counter((one["test_id"], one["filename"]) for one in report["results"])


def found_by_pip_audit(report: dict[str, Any]) -> tuple[Findings, list[str]]:
    """Advisories by package, and the packages that could not be looked up."""
    found: Findings = Counter()
    unknown: list[str] = []
    for package in report["dependencies"]:
        if "skip_reason" in package:
            unknown.append(package["name"])
        for advisory in package.get("vulns", []):
            found[(advisory["id"], package["name"])] += 1
    return found, unknown


def differences(found: Findings, known: Findings) -> list[str]:
    """In words, what was found and isn't explained, or is explained and wasn't found."""
    return [
        f"{check} in {place}: found {found[check, place]}, explained {known[check, place]}"
        for check, place in sorted(found.keys() | known.keys())
        if found[check, place] != known[check, place]
    ]


def main(arguments: list[str]) -> int:
    """Run both, or with `--code-only` bandit alone; 0 where all is explained."""
    known = explained(PAGE.read_text())
    of_code = {one: count for one, count in known.items() if re.fullmatch(r"B\d+", one[0])}
    faults = differences(_run_bandit(), Counter(of_code))
    if "--code-only" not in arguments:
        found, unknown = _run_pip_audit()
        faults += differences(found, known - Counter(of_code))
        if unknown:
            faults.append(
                f"{len(unknown)} packages were not audited: this machine's registry has no advisories for"
                f" {', '.join(unknown[:3])}, …"
            )
    for fault in faults:
        print(fault)
    print(f"{sum(of_code.values())} findings of bandit are explained in {PAGE.relative_to(ROOT)}.")
    return 1 if faults else 0


def _run_bandit() -> Findings:
    report = _report_of(["--from", BANDIT, "bandit", "--quiet", "--recursive", *SOURCES, "--format", "json"])
    if report["errors"]:
        message = f"bandit could not read {report['errors']}"
        raise RuntimeError(message)
    return found_by_bandit(report)


def _run_pip_audit() -> tuple[Findings, list[str]]:
    with TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        export = ["export", "--locked", "--quiet", "--all-extras", "--all-groups", "--no-emit-workspace"]
        subprocess.run([UV, *export, "--output-file", str(listed)], cwd=ROOT, check=True)
        options = ["--requirement", str(listed), "--disable-pip", "--no-deps", "--format", "json"]
        return found_by_pip_audit(_report_of(["--from", PIP_AUDIT, "pip-audit", *options]))


def _report_of(command: list[str]) -> dict[str, Any]:
    """A tool's report; with findings its exit code isn't 0."""
    done = subprocess.run(
        [UV, "tool", "run", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        message = f"{command[1]} did not run: {done.stderr[-2000:]}"
        raise RuntimeError(message) from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
