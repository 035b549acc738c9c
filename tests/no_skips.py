"""A pytest plugin with which a test that was left out fails the run: `make test` loads it.

A skip that nobody reads is a test that nobody has. Skipped, expected to fail and deselected all
count; `pytest` without `-p tests.no_skips` works as usual.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest


class NoSkips:
    """Notes what was left out, and fails a run that otherwise passed."""

    def __init__(self) -> None:
        self.left_out: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped or hasattr(report, "wasxfail"):
            self.left_out.append(f"{report.nodeid}: {_reason(report)}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self.left_out.append(f"{report.nodeid}: {_reason(report)}")

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self.left_out += [f"{item.nodeid}: deselected" for item in items]

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.left_out and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.left_out:
            terminalreporter.section(f"{len(self.left_out)} left out, and none may be", red=True)
            for line in self.left_out:
                terminalreporter.line(line)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(NoSkips(), "no-skips")


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"expected to fail {report.wasxfail}".strip()
    where = report.longrepr
    return str(where[2]) if isinstance(where, tuple) else str(where)
