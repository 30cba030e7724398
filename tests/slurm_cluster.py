"""A Slurm cluster of two nodes on this machine, for as long as the tests need it.

Needs Slurm's and munge's programs (Debian: slurm-wlm, munge) and root; no systemd, no cgroups, no
database. A cluster that is there already is never touched. ``python tests/slurm_cluster.py`` keeps
one until it is interrupted.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

# The executor deletes all SLURM_ variables for what it starts, so SLURM_CONF would not do.
CONFIGURATION = Path("/etc/slurm/slurm.conf")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
MARK = "mebold-slurm-"
NODES = ("mebold1", "mebold2")
# OverMemoryKill holds jobs to their memory by looking at them, where there are no cgroups; with
# config_overrides a node may have more processors than this machine. A job of a node that went down
# waits for cred_expire (120 s by default) before it starts on another.
SETTINGS = """\
ClusterName=mebold
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/finished.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory,CR_LLN
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
SwitchType=switch/none
MinJobAge=3600
KillWait=2
SlurmdTimeout=10
DefMemPerCPU=256
SlurmdParameters=config_overrides
NodeName=DEFAULT CPUs=4 RealMemory=6000 State=UNKNOWN
NodeName=mebold1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]}
NodeName=mebold2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]}
PartitionName=main Nodes=ALL Default=YES MaxTime=24:00:00 State=UP
PartitionName=short Nodes=ALL MaxTime=02:00:00 State=UP
"""


def missing() -> str:
    """Return why no cluster can be started here; empty where one can."""
    lost = [name for name in PROGRAMS if not _program(name)]
    if lost:
        return f"needs slurm-wlm and munge ({', '.join(lost)} missing): CONTRIBUTING.md"
    if os.geteuid() != 0:
        return "needs root, to start a Slurm of its own"
    if CONFIGURATION.is_symlink() and CONFIGURATION.resolve().parent.name.startswith(MARK):
        if _runs(CONFIGURATION.resolve().parent / "slurmctld.pid"):
            return f"another run of the tests has its cluster at {CONFIGURATION.resolve().parent}"
    elif CONFIGURATION.is_symlink() or CONFIGURATION.exists():
        return f"this machine belongs to a cluster ({CONFIGURATION}), which is left alone"
    return ""


class Cluster:
    """A running cluster.

    Attributes
    ----------
    folder : Path
        Its logs, and ``finished.txt``: a line per finished job.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def start_node(self, name: str) -> None:
        """Start a node."""
        subprocess.run([_program("slurmd"), "-N", name], check=True)

    def stop_node(self, name: str) -> None:
        """Let a node go down with all that runs there, as a machine that is switched off."""
        _end(self.folder / f"slurmd.{name}.pid", signal.SIGKILL)
        for process in _at_work(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def finished(self) -> list[dict[str, str]]:
        """Return what Slurm noted of the jobs that finished, each with its keys (JobState ...)."""
        path = self.folder / "finished.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """Start munge, the controller and two nodes; stop them, by their process ids, at the end."""
    folder = Path(tempfile.mkdtemp(prefix=MARK, dir="/tmp"))
    folder.chmod(0o755)  # munge looks at the folder of its socket
    for name in ("state", *(f"spool.{node}" for node in NODES)):
        (folder / name).mkdir()
    settings = {"host": socket.gethostname().split(".")[0], "ports": _ports(3), "folder": folder}
    (folder / "slurm.conf").write_text(SETTINGS.format(**settings))
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.unlink(missing_ok=True)  # that of an earlier run, says `missing`
    CONFIGURATION.symlink_to(folder / "slurm.conf")
    cluster = Cluster(folder)
    try:
        _start(folder)
        for node in NODES:
            cluster.start_node(node)
        wait_for(lambda: _states() == {"idle"}, "the nodes are not idle", folder)
        yield cluster
    finally:
        for node in NODES:
            cluster.stop_node(node)
        for name in ("slurmctld", "munged"):
            _end(folder / f"{name}.pid", signal.SIGKILL)
        if CONFIGURATION.is_symlink() and CONFIGURATION.readlink() == folder / "slurm.conf":
            CONFIGURATION.unlink()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(condition, otherwise: str, folder: Path | None = None, seconds: float = 60) -> None:
    """Wait until a condition holds; raise with the end of the controller's log otherwise."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            log = folder / "slurmctld.log" if folder else None
            raise TimeoutError(f"{otherwise}\n{log.read_text()[-2000:] if log else ''}")
        time.sleep(0.1)


def _start(folder: Path) -> None:
    munge = [_program("munged"), "--force", f"--socket={folder}/munge.socket"]
    munge += [f"--key-file={folder}/munge.key", f"--pid-file={folder}/munged.pid"]
    munge += [f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"]
    subprocess.run(munge, check=True, capture_output=True)
    wait_for((folder / "munge.socket").exists, "munged does not start")
    subprocess.run([_program("slurmctld")], check=True)


def _at_work(node: str) -> set[int]:
    """Return the processes of a node's jobs, which have its name in their environment."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "environ").read_bytes().split(b"\0")
            if f"SLURMD_NODENAME={node}".encode() in words:
                found.add(int(folder.name))
                parent = int(re.search(r"PPid:\s+(\d+)", (folder / "status").read_text())[1])
                if Path(f"/proc/{parent}/cmdline").read_bytes().startswith(b"slurmstepd"):
                    found.add(parent)
    return found


def _states() -> set[str]:
    command = ["sinfo", "--noheader", "--Node", "--format", "%T"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return set(done.stdout.split())


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def _ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _read(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text())
    except (OSError, ValueError):
        return None


def _runs(pid_file: Path) -> bool:
    process = _read(pid_file)
    return process is not None and Path(f"/proc/{process}").exists()


def _end(pid_file: Path, how: signal.Signals) -> None:
    process = _read(pid_file)
    if process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, how)
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: not Path(f"/proc/{process}").exists(), "", seconds=10)
    pid_file.unlink(missing_ok=True)


if __name__ == "__main__":
    if why := missing():
        raise SystemExit(why)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with running() as here, contextlib.suppress(KeyboardInterrupt):
        print(here.folder, flush=True)
        signal.pause()
