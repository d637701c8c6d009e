"""A provider is added by one file and one registry line, as the how-to page says; its own code does it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bursar.usage.providers.registry import FAMILIES, PROVIDERS, provider_labelled
from tests.house.sources import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs/how-to/add-a-provider.md").read_text()
READ = """
import json, sys
from bursar.usage.formats.provider_answers import read_answer
from bursar.usage.measure import measure_usage
reading = read_answer(sys.stdin.buffer.read(), "acme")
assert reading.event is not None, reading
print(json.dumps([reading.event.provider, reading.event.model, measure_usage(reading.event).units]))
"""


def taught(copy: Path) -> None:
    """Do what the page says, in a copy of the sources."""
    shutil.copytree(ROOT / "src/bursar", copy / "bursar", ignore=shutil.ignore_patterns("__pycache__"))
    providers = copy / "bursar/usage/providers"
    (providers / "acme.py").write_text(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0])
    registry = (providers / "registry.py").read_text()
    line = "from bursar.usage.providers.anthropic_answers"
    registry = registry.replace(line, f"from bursar.usage.providers.acme import ACME\n{line}", 1)
    registry = registry.replace("    OPENAI,\n", "    ACME,\n    OPENAI,\n", 1)
    (providers / "registry.py").write_text(registry)


def test_the_page_adds_a_provider_with_one_file_and_one_line(tmp_path: Path) -> None:
    taught(tmp_path)
    usage = {"tokens_in": 42, "tokens_cached": 30, "tokens_out": 9, "tokens_thought": 4, "tier": "fast"}
    answer = {"id": "a1", "model": "roadrunner", "object": "chat.completion", "usage": usage}

    read = subprocess.run(
        [sys.executable, "-c", READ],
        input=json.dumps(answer).encode(),
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=True,
    )

    assert json.loads(read.stdout) == [
        "acme",
        "roadrunner",
        {"input_text": 12, "cache_read_text": 30, "output_text": 5, "output_reasoning": 4},
    ]


def test_the_row_of_the_page_is_what_the_code_of_the_page_gives() -> None:
    assert "units = { input_text = 12, cache_read_text = 30, output_text = 5, output_reasoning = 4 }" in PAGE


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_a_provider_is_known_by_its_name_and_by_every_label(provider: Any) -> None:  # noqa: ANN401 - a Provider
    assert {provider_labelled(label) for label in (provider.name, *provider.labels)} == {provider}


def test_no_two_providers_answer_to_one_name() -> None:
    names = [label for provider in PROVIDERS for label in {provider.name, *provider.labels}]
    assert len(names) == len(set(names))


def test_every_family_says_its_shape() -> None:
    assert all(family.shape and family.name for family in FAMILIES)


def test_every_provider_and_every_note_stands_on_the_reference_page() -> None:
    page = (ROOT / "docs/reference/providers.md").read_text()
    sources = "\n".join(path.read_text() for path in (ROOT / "src/bursar/usage/providers").glob("*.py"))
    notes = re.findall(r'^[A-Z_]+ = "([a-z0-9]+(?:_[a-z0-9]+){2,})"$', sources, re.MULTILINE)
    names = [name for provider in PROVIDERS for name in (provider.name, *provider.labels)]

    assert notes
    assert [word for word in (*names, *notes) if f"`{word}`" not in page] == []
