"""One line about a long run: folds finished, running and failed, and the time that is left.

The Snakefile hangs `Line` into Snakemake's own log, whose records say when a job starts and how it ends, and
which then prints no such lines itself. The line is drawn over and over on a terminal, and nowhere else.
"""

import logging
import sys
import time
from collections.abc import Mapping
from typing import IO

#: Events of which Snakemake prints a line or two for each job.
REPLACED = {"job_started", "job_finished", "progress"}


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
        self.running: dict[int, tuple[int, float]] = {}  # of each job that runs: its folds, when it began
        self.failed: dict[int, int] = {}  # of each job that failed: its folds
        self.total = self.done = self.steps = self.steps_done = 0
        self.spent = 0.0  # seconds of finished folds, summed

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of one record; draw the line where it is about progress."""
        match _event(record):
            case "run_info":
                counts = {name: count for name, count in record.stats.items() if name != "total"}
                self.steps = sum(counts.values())
                self.total = sum(self.folds.get(name, 0) * count for name, count in counts.items())
            case "job_info":
                if record.rule_name in self.folds:
                    self.running[record.jobid] = self.folds[record.rule_name], time.monotonic()
                    self.failed.pop(record.jobid, None)  # it is tried again
            case "job_finished":
                now = time.monotonic()
                folds, began = self.running.pop(record.job_id, (0, now))
                self.steps_done += 1
                self.done += folds
                self.spent += now - began
            case "job_error":
                if record.jobid in self.running:
                    self.failed[record.jobid], _ = self.running.pop(record.jobid)
            case _:
                return
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
        running, failed = sum(folds for folds, _ in self.running.values()), sum(self.failed.values())
        line = f"{steps}; {self.done} of {self.total} folds done, {running} running, {failed} failed"
        left = self.total - self.done - failed
        if not (self.done and running and left):
            return line
        minutes = left * self.spent / self.done / len(self.running) / 60  # as many jobs at once as now
        time_left = f"{minutes / 60:.1f} hours" if minutes >= 60 else f"{minutes:.0f} minutes"
        return f"{line}, about {time_left} left"
