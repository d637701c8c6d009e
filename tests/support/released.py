"""Data folders as released versions left them, to be opened with today's code.

They lie packed in `tests/released/`; its README says how they were made.
"""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

if TYPE_CHECKING:
    from tests.support.serving import RunningServer

RELEASED = Path(__file__).parents[1] / "released"
ENDS = ("stopped", "killed")


@dataclass(frozen=True, slots=True)
class ReleasedFolder:
    """One packed folder and what is in it."""

    version: str
    end: str
    """How its server ended."""

    def __str__(self) -> str:
        return f"{self.version}-{self.end}"

    def unpack(self, path: Path) -> Path:
        """A copy to work with."""
        packed = (RELEASED / self.version / f"{self.end}.tar.zst").read_bytes()
        content = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            tar.extractall(path, filter="data")
        return path

    @property
    def expected(self) -> dict[str, Any]:
        """What its own version said was in it."""
        return self._described[self.end]

    @property
    def tenant_keys(self) -> dict[str, str]:
        """A working key of each tenant."""
        return self._described["tenant_keys"]

    @property
    def _described(self) -> dict[str, Any]:
        return json.loads((RELEASED / self.version / "expected.json").read_text())


RELEASED_FOLDERS = [
    ReleasedFolder(path.name, end) for path in sorted(RELEASED.iterdir()) if path.is_dir() for end in ENDS
]


def found_in(server: RunningServer, folder: ReleasedFolder) -> dict[str, Any]:
    """What today's code says is in it, in the words of `expected`."""
    expected = folder.expected
    answer = server.operator.post("/control/verify", timeout=60).raise_for_status()
    recount = json.loads(answer.text.splitlines()[-1])["result"]
    assert recount["is_clean"], recount["differences"]
    states: dict[str, dict[str, str]] = {}
    for tenant in expected["key_states"]:
        keys = server.client.get("/api/v1/keys", params={"tenant_id": tenant}).raise_for_status()
        states[tenant] = {key["label"]: key["state"] for key in keys.json()["items"]}
    return {
        "recount": {name: recount[name] for name in expected["recount"]},
        "totals": {tenant: totals_of(server, tenant) for tenant in expected["totals"]},
        "key_states": states,
    }


def totals_of(server: RunningServer, tenant: str) -> list[dict[str, Any]]:
    """A tenant's totals by model, cost status and project."""
    question = {
        "measures": ["events", "errors", "input_tokens", "cached_tokens", "output_tokens", "cost"],
        "dimensions": ["provider", "model", "cost_status", "project_id"],
        "window": "all",
        "limit": 1000,
    }
    answer = server.client.post("/api/v1/query", params={"tenant_id": tenant}, json=question, timeout=60)
    return answer.raise_for_status().json()["rows"]


def sorted_totals(found: dict[str, Any]) -> dict[str, Any]:
    """The same with rows in an order of their own: ties may come in any."""
    totals = {tenant: sorted(rows, key=_as_text) for tenant, rows in found["totals"].items()}
    return {**found, "totals": totals}


def _as_text(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True)
