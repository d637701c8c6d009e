"""Figures that the tests of whole flows found, printed when the run is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.used_folder import UsedFolder, make_used_folder

if TYPE_CHECKING:
    from collections.abc import Callable

_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a text to print at the end of the run, whether the test passed or not."""
    found = request.config.stash.setdefault(_FIGURES, [])

    def keep(text: str) -> None:
        found.append(f"{request.node.nodeid}\n{text}")

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was kept."""
    found: list[str] = []
    for text in config.stash.get(_FIGURES, found):
        terminalreporter.section("figures")
        terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def used_folder(tmp_path_factory: pytest.TempPathFactory) -> UsedFolder:
    """A data folder as a killed server leaves it; copy it before you touch it."""
    return make_used_folder(tmp_path_factory.mktemp("used") / "data")
