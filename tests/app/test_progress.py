"""The line about a long run, from records as Snakemake logs them."""

import io
import logging

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from metst_lib.app import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def tell(line: progress.Line, event: LogEvent, **values: object) -> None:
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "", (), None)
    record.__dict__.update(event=event, **values)
    line.handle(record)


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def line(clock):
    """Four jobs of two folds each, and a step beside them."""
    made = progress.Line({f"job{number}": 2 for number in range(4)}, Terminal())
    stats = {"flow": 1, **{f"job{number}": 1 for number in range(4)}, "total": 5}
    tell(made, LogEvent.RUN_INFO, stats=stats)
    return made


def start(line, number):
    tell(line, LogEvent.JOB_INFO, jobid=number, rule_name=f"job{number}")


def test_folds_are_counted_and_the_time_left_follows_from_those_done(line, clock):
    assert line.text() == "0 of 5 steps; 0 of 8 folds done, 0 running, 0 failed"
    tell(line, LogEvent.JOB_INFO, jobid=9, rule_name="flow")
    tell(line, LogEvent.JOB_FINISHED, job_id=9)
    start(line, 0)
    start(line, 1)
    assert line.text() == "1 of 5 steps; 0 of 8 folds done, 4 running, 0 failed"
    clock[0] = 600
    tell(line, LogEvent.JOB_FINISHED, job_id=0)
    start(line, 2)  # six folds of five minutes are left, in two jobs at once
    expected = "2 of 5 steps; 2 of 8 folds done, 4 running, 0 failed, about 15 minutes left"
    assert line.text() == expected
    assert line.stream.getvalue().endswith(f"\r\033[K{expected}\r")


def test_a_failed_job_is_counted_until_it_is_tried_again(line):
    start(line, 0)
    tell(line, LogEvent.JOB_ERROR, jobid=0)
    assert line.text() == "0 of 5 steps; 0 of 8 folds done, 0 running, 2 failed"
    start(line, 0)
    assert line.text() == "0 of 5 steps; 0 of 8 folds done, 2 running, 0 failed"


def test_nothing_is_printed_where_there_is_no_terminal(clock):
    quiet = progress.Line({"job0": 1}, io.StringIO())
    tell(quiet, LogEvent.RUN_INFO, stats={"job0": 1, "total": 1})
    start(quiet, 0)
    tell(quiet, LogEvent.JOB_FINISHED, job_id=0)
    assert quiet.done == 1 and quiet.stream.getvalue() == ""


def test_the_line_takes_the_place_of_what_the_log_prints_of_progress_and_of_nothing_else():
    log, printed = logging.Logger("one of its own"), io.StringIO()
    log.addHandler(logging.StreamHandler(printed))
    progress.attach(log, {})
    log.info("Select jobs to execute...")
    log.info("Finished jobid: 3", extra={"event": LogEvent.JOB_FINISHED, "job_id": 3})
    log.error("Error in rule model", extra={"event": LogEvent.JOB_ERROR, "jobid": 4})
    assert printed.getvalue() == "Error in rule model\n"
