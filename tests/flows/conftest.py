"""Figures that the tests of whole flows found, printed when the run is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.used_folder import UsedFolder, make_used_folder

if TYPE_CHECKING:
    from collections.abc import Callable

_FIGURES = "figures"


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a text to print at the end of the run, whether the test passed or not."""
    # A test's properties travel with its report, also from another process.
    return lambda text: request.node.user_properties.append((_FIGURES, text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was kept."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, text in report.user_properties:
                if name == _FIGURES:
                    terminalreporter.section("figures")
                    terminalreporter.write_line(f"{report.nodeid}\n{text}")


@pytest.fixture(scope="session")
def used_folder(tmp_path_factory: pytest.TempPathFactory) -> UsedFolder:
    """A data folder as a killed server leaves it; copy it before you touch it."""
    return make_used_folder(tmp_path_factory.mktemp("used") / "data")
