"""The workflow on a real SLURM, started for the occasion on the loopback interface: `make test-cluster`.

Two folds of two variants run through profiles/slurm, each a job of its own. One job is cancelled; it must be
tried again and succeed, and every metrics.json must equal that of a local run. Installs Debian's slurm-wlm
and munge where they are missing (as root), keeps configuration, key and logs in a temporary folder, leaves
alone a SLURM that is there, and ends the daemons that it started, by their process ids.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psutil

from metst_lib import experiment, synthetic
from metst_lib.experiment import store

ROOT = Path(__file__).parent.parent.parent
VARIANTS = ("flow-magnitude", "me-tst")
CANCELLED = "me-tst"
FOLDS = ("spNO.1", "spNO.2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
SECONDS = 200
"""Until a run that does not end is given up."""

CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=5,sched_interval=5
ReturnToService=2
MinJobAge=300
MailProg=/bin/true
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def main() -> None:
    began = time.monotonic()
    install()
    folder = Path(tempfile.mkdtemp(prefix="metst-slurm-"))
    folder.chmod(0o755)  # munge wants its socket where everybody could get to it
    try:
        local = compendium(folder / "local")
        remote = folder / "remote"
        shutil.copytree(local, remote, symlinks=True)
        say("the same folds here")
        with snakemake(local, "--cores", "2") as run:
            finish(run, local)
        with cluster(folder) as environment:
            on_cluster(remote, environment)
        compare(local, remote)
    except BaseException:
        print(f"Logs of what failed are kept in {folder}", file=sys.stderr)
        raise
    finally:
        left = [
            p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])
        ]
    assert not left, f"still running: {left}"
    shutil.rmtree(folder)
    say(f"passed in {time.monotonic() - began:.0f} s; no daemon is left")


def say(text: str) -> None:
    print(f"test-cluster: {text}", flush=True)


# --- SLURM ----------------------------------------------------------------------------------------------


def install() -> None:
    """Debian's packages, where a program is missing. Their services are not started by it."""
    if not (missing := [name for name in PROGRAMS if not shutil.which(name)]):
        return
    if not shutil.which("apt-get") or os.getuid() != 0:
        sys.exit(f"{', '.join(missing)} missing: install slurm-wlm and munge, or run this as root on Debian")
    say("installing slurm-wlm and munge")
    quiet = {
        "check": True,
        "stdout": subprocess.DEVNULL,
        "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    }
    subprocess.run(["apt-get", "update", "-qq"], **quiet)
    packages = ["slurm-wlm", "munge"]
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages], **quiet)


@contextmanager
def cluster(folder: Path):
    """munged, slurmctld and slurmd for one node, as long as the block lasts; yields the environment."""
    for name in ("munge", "state", "spool", "bin"):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    controller_port, node_port = free_ports(2)
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(**locals()))
    key = folder / "munge" / "key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    # inside a job step SLURM_CONF is not set; srun is called by this wrapper, which comes first in PATH
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    paths = f"{srun.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "SLURM_CONF": str(configuration), "PATH": paths}
    munge = [f"--{what}-file={folder}/munge/{what}" for what in ("key", "pid", "log", "seed")]
    with ExitStack() as stack:
        for command in (
            ["munged", "-F", f"--socket={folder}/munge/socket", *munge],
            ["slurmctld", "-D", "-c", "-f", str(configuration)],
            ["slurmd", "-D", "-c", "-f", str(configuration), "-N", host],
        ):
            stack.enter_context(daemon(command, folder / f"{command[0]}.printed", environment))
            if command[0] == "munged":
                wait_for(lambda: (folder / "munge" / "socket").exists(), 10, "munged opens no socket")
        wait_for(lambda: "idle" in slurm(environment, "sinfo", "-h", "-o", "%t"), 30, "the node is not idle")
        say("SLURM is up")
        yield environment


@contextmanager
def daemon(command: list[str], log: Path, environment: dict[str, str]):
    """A program in the foreground, put in the background here, and ended by its process id."""
    with open(log, "w") as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, env=environment)
    try:
        yield process
        assert process.poll() is None, f"{command[0]} ended by itself; {log}:\n{log.read_text()[-2000:]}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def slurm(environment: dict[str, str], *command: str) -> str:
    """What one of SLURM's commands printed; nothing where it failed."""
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout


def wait_for(ready, seconds: float, otherwise: str):
    """The first true value of ready()."""
    until = time.monotonic() + seconds
    while not (value := ready()):
        assert time.monotonic() < until, f"{otherwise} after {seconds} s"
        time.sleep(0.2)
    return value


# --- the workflow ---------------------------------------------------------------------------------------


def compendium(root: Path) -> Path:
    """Three subjects, one video of eight seconds each, with their flow; the workflow's files beside them."""
    say("rendering a small synthetic set")
    synthetic.write(root / "data", subjects=3, videos=1, seconds=8, progress=False)
    experiment.prepare(experiment.configure(root=root), progress=False)
    (root / "work").mkdir()
    for name in ("Snakefile", "notebooks", "profiles"):
        (root / "work" / name).symlink_to(ROOT / name)
    return root


def results(root: Path) -> list[Path]:
    runs = [experiment.configure(variant=variant, root=root) for variant in VARIANTS]
    return [store.metrics_path(run, fold) for run in runs for fold in FOLDS]


@contextmanager
def snakemake(root: Path, *arguments: str, environment: dict[str, str] | None = None):
    """The workflow, asked for the chosen folds, as a running process; ended if the block fails."""
    command = [sys.executable, "-m", "metst_lib.app.cli", "workflow", *arguments, "--config", f"root={root}"]
    command += [f"variants={','.join(VARIANTS)}", "folds_per_job=1", "--", *map(str, results(root))]
    with open(root / "printed.txt", "w") as printed:
        run = subprocess.Popen(
            command, cwd=root / "work", stdout=printed, stderr=subprocess.STDOUT, env=environment
        )
    try:
        yield run
    finally:
        if run.poll() is None:
            run.terminate()
            run.wait()


def finish(run: subprocess.Popen, root: Path) -> str:
    """Wait for the end of a run, which must be a good one; what it printed."""
    failed = run.wait(SECONDS)
    printed = (root / "printed.txt").read_text()
    assert not failed, printed[-5000:]
    return printed


def on_cluster(root: Path, environment: dict[str, str]) -> None:
    """All folds as jobs of the profile, one of which is cancelled once it runs."""
    options = ["--profile", "profiles/slurm", "--latency-wait", "5"]
    options += ["--default-resources", "gpu=0"]  # there is none here
    # without accounting there is no sacct to ask; and a test need not wait
    options += ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"]
    options += ["--seconds-between-status-checks", "2"]

    def jobs() -> list[tuple[str, str, str]]:
        """(id, state, rule) of every job, finished ones too."""
        listed = slurm(environment, "squeue", "-h", "-a", "-t", "all", "-o", "%i|%T|%k")
        return [tuple(line.split("|", 2)) for line in listed.splitlines()]

    say(f"{len(results(root))} folds as jobs")
    with snakemake(root, *options, environment=environment) as run:

        def running() -> str | None:
            assert run.poll() is None, (root / "printed.txt").read_text()[-5000:]
            return next(
                (i for i, state, rule in jobs() if state == "RUNNING" and f"rule_{CANCELLED}" in rule), None
            )

        victim = wait_for(running, 60, f"no job of {CANCELLED} runs")
        subprocess.run(["scancel", victim], env=environment, check=True)
        say(f"job {victim} is cancelled")
        printed = finish(run, root)
    seen = jobs()
    (rule,) = [rule for i, _, rule in seen if i == victim]
    states = {i: state for i, state, other in seen if other == rule}
    assert states.pop(victim) == "CANCELLED", seen
    assert list(states.values()) == ["COMPLETED"], f"not tried again: {seen}"
    assert len(seen) == len(results(root)) + 1, seen
    assert "Trying to restart job" in printed, printed[-5000:]
    say("it was tried again and succeeded")


def compare(local: Path, remote: Path) -> None:
    """Every metrics.json of the cluster equals that of the local run, byte by byte."""
    for here, there in zip(results(local), results(remote), strict=True):
        assert here.read_bytes() == there.read_bytes(), f"{here} and {there} differ"
    say(f"{len(results(local))} metrics.json files equal those of the local run")


if __name__ == "__main__":
    main()
