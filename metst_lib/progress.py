"""One line about a long run: folds finished, running and failed, and the time that is left.

The Snakefile hangs `Line` into Snakemake's own log, whose records say when a job starts and how it ends, and
which then prints no such lines itself. The line is drawn over and over on a terminal, and nowhere else.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from typing import IO

REPLACED = {"job_started", "job_finished", "progress"}
"""Events of which Snakemake prints a line or two for each job."""


def attach(log: logging.Logger, folds: Mapping[str, int]) -> None:
    """Show the line in place of what the log prints of progress; errors and the log's file stay."""
    for handler in log.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(lambda record: not _is_replaced(record))
    log.addHandler(Line(folds))


def _is_replaced(record: logging.LogRecord) -> bool:
    return _event(record) in REPLACED or str(record.msg).startswith("Select jobs")


def _event(record: logging.LogRecord) -> str | None:
    return getattr(getattr(record, "event", None), "value", None)


class Line(logging.Handler):
    """Counts folds from Snakemake's log records and draws them as one line.

    folds: how many folds the job of each rule name fits; jobs of other rules count as steps only.
    """

    def __init__(self, folds: Mapping[str, int], stream: IO[str] | None = None) -> None:
        super().__init__(logging.INFO)
        self.folds, self.stream = folds, stream or sys.stderr
        self.rules: dict[int, str] = {}  # of each job that was started
        self.began: dict[int, float] = {}  # of those that run
        self.total = self.done = self.steps = self.steps_done = 0
        self.failed: set[int] = set()
        self.spent = 0.0  # seconds of finished folds, summed

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of one record; draw the line where it changed."""
        note = {
            "run_info": self._planned,
            "job_info": self._started,
            "job_finished": self._finished,
            "job_error": self._failed,
        }.get(_event(record))
        if note:
            note(record)
            if self.stream.isatty():
                # the cursor goes back, so that a message overwrites the line; the last one stays
                ended = "\n" if self.steps_done == self.steps else "\r"
                self.stream.write(f"\r\033[K{self.text()}{ended}")
                self.stream.flush()

    def text(self) -> str:
        """The line."""
        steps = f"{self.steps_done} of {self.steps} steps"
        if not self.total:
            return steps
        running = sum(self._folds(job) for job in self.began)
        failed = sum(self._folds(job) for job in self.failed)
        parts = [f"{steps}; {self.done} of {self.total} folds done", f"{running} running", f"{failed} failed"]
        left = self.total - self.done - failed
        if self.done and running and left:
            seconds = left * self.spent / self.done / len(self.began)  # as many jobs at once as now
            parts.append(
                f"about {seconds / 3600:.1f} hours left"
                if seconds >= 3600
                else f"about {seconds / 60:.0f} minutes left"
            )
        return ", ".join(parts)

    def _folds(self, job: int) -> int:
        return self.folds.get(self.rules.get(job, ""), 0)

    def _planned(self, record: logging.LogRecord) -> None:
        self.steps = sum(count for name, count in record.stats.items() if name != "total")
        self.total = sum(self.folds.get(name, 0) * count for name, count in record.stats.items())

    def _started(self, record: logging.LogRecord) -> None:
        if record.rule_name in self.folds:
            self.rules[record.jobid] = record.rule_name
            self.began[record.jobid] = time.monotonic()
            self.failed.discard(record.jobid)  # it is tried again

    def _finished(self, record: logging.LogRecord) -> None:
        self.steps_done += 1
        began = self.began.pop(record.job_id, None)
        if began is not None:
            self.done += self._folds(record.job_id)
            self.spent += time.monotonic() - began

    def _failed(self, record: logging.LogRecord) -> None:
        if self.began.pop(record.jobid, None) is not None:
            self.failed.add(record.jobid)
