"""Processes that need no start: one that has imported what the command needs, and forks a copy of itself for each.

A fork is a process of its own, with its own folder, environment and limits, that can be killed and leaves an exit code. It
has the modules of TensorFlow, but its runtime begins anew in each, since the process that forks never wakes it. What it
shares with its siblings is the seed of hashes; where that or what imports say and do is the point, start a real one.
"""

import gc
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path


class Fork:
    """A process begun by `Warm`: as much of `subprocess.Popen` as tests need.

    Attributes:
        returncode: exit code, or minus the number of the signal that ended it; None while it runs.
    """

    def __init__(self, warm: "Warm", pid: int, outputs: tuple[Path, Path]):
        self.warm, self.pid, self.outputs, self.returncode = warm, pid, outputs, None

    def poll(self) -> int | None:
        """Return the exit code once there is one."""
        if self.returncode is None:
            self.returncode = self.warm.ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float = 300) -> int:
        """Return the exit code when it comes.

        Raises:
            TimeoutExpired: the process still ran after so many seconds; it is killed.
        """
        until = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                self.send_signal(signal.SIGKILL)
                raise subprocess.TimeoutExpired("a fork", timeout)
            time.sleep(0.02)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    @property
    def stdout(self) -> str:
        """What it has written to stdout so far."""
        return self.outputs[0].read_text("utf-8")

    @property
    def stderr(self) -> str:
        """What it has written to stderr so far."""
        return self.outputs[1].read_text("utf-8")


class Warm:
    """The process that forks; it is started with the first fork.

    Args:
        folder: for the outputs of the forks.
    """

    def __init__(self, folder: Path):
        self.folder, self.numbers, self.process = folder, count(), None

    def start(self, *words, code: str = "", cwd=None, file_size: int | None = None, **environment: str) -> Fork:
        """Begin the command with these words, or Python code, in a fork.

        Args:
            words: of the command.
            code: what to run instead of the command.
            cwd: its folder; None is that of this process.
            file_size: bytes beyond which no file can grow, as on a full disk.
            environment: what differs from the variables of this process.
        """
        number = next(self.numbers)
        outputs = self.folder / f"{number}.out", self.folder / f"{number}.err"
        for path in outputs:
            path.touch()
        wish = {"words": [str(word) for word in words], "code": code, "cwd": str(cwd or Path.cwd())}
        wish |= {"environment": os.environ | environment, "file_size": file_size, "outputs": [str(p) for p in outputs]}
        return Fork(self, self.ask(wish), outputs)

    def run(self, *words, timeout: float = 300, **wishes) -> Fork:
        """Begin as `start` does, and return it finished."""
        fork = self.start(*words, **wishes)
        fork.wait(timeout)
        return fork

    def ask(self, wish: dict) -> int | None:
        """Return the answer of the process that forks: the number of a new process, or how an old one ended."""
        if self.process is None:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.process = subprocess.Popen([sys.executable, __file__], **pipes)
        print(json.dumps(wish), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End the process that forks."""
        if self.process is not None:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()


def next_fork() -> dict | None:
    """Answer wishes; return the one that this process is to fulfil, as a fork, or None at the end of all wishes."""
    answers = sys.stdout
    for line in sys.stdin:
        wish = json.loads(line)
        if "ended" in wish:
            pid, status = os.waitpid(wish["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if not answer:
                return wish
        print(json.dumps(answer), file=answers, flush=True)
    return None


def fulfil(wish: dict) -> None:
    """Become what was wished for."""
    null = os.open(os.devnull, os.O_RDONLY)
    for place, file in enumerate([null, *(os.open(path, os.O_WRONLY) for path in wish["outputs"])]):
        os.dup2(file, place)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(place, mode, closefd=False) for place, mode in enumerate("rww"))
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    os.environ.clear()
    os.environ.update(wish["environment"])
    os.chdir(wish["cwd"])
    if wish["file_size"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (wish["file_size"], wish["file_size"]))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    sys.argv = ["horngate", *wish["words"]]
    exec(wish["code"] or "from horngate.cli.main import main; main()", {"__name__": "__main__"})


MODULES = ("keras", "tensorflow", "sklearn.linear_model", "matplotlib.figure", "matplotlib.backends.backend_agg")
MODULES += ("horngate.cli.main", "horngate.cli.verbs", "horngate.pipelines.vision")
MODULES += tuple(f"horngate.pipelines.verbs.{verb}" for verb in ("train", "evaluate", "predict"))

if __name__ == "__main__":
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()
    wish = next_fork()
    if wish is not None:
        fulfil(wish)
