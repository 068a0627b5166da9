"""The developing process can compute and answer, and nothing else."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"},
    reason="system calls are filtered on Linux, on x86-64 and arm64",
)

ATTEMPTS = {
    "open a file": "open('/etc/passwd')",
    "write a file": "open('/tmp/safelight-escape', 'w')",
    "list a folder": "os.listdir('/')",
    "reach the network": "socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "reach a local service": "socket.socket(socket.AF_UNIX)",
    "start a program": "os.execv('/bin/true', ['true'])",
    "start a process": "os.fork()",
    "end another process": "os.kill(os.getppid(), 0)",
    "limit another process": "resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (0, 0))",
    "raise its memory": "resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))",
}


def _run_inside(statements: str) -> subprocess.CompletedProcess[str]:
    script = (
        "import os, resource, socket, threading\n"
        "from safelight.clients.camera.develop import sandbox\n"
        "assert sandbox.enter()\n"
        f"{statements}\n"
    )
    return subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("what", ATTEMPTS)
def test_refuses(what: str) -> None:
    """Each way out fails with an error inside, and has no effect outside."""
    done = _run_inside(
        f"try:\n    {ATTEMPTS[what]}\nexcept (OSError, ValueError):\n    print('refused')\nelse:\n    print('escaped')"
    )
    assert done.stdout.strip() == "refused", done


def test_lets_through_what_developing_needs() -> None:
    """Memory, threads, the clock and randomness work; processor time can be extended, within reason."""
    done = _run_inside(
        "sandbox.allow_cpu_time()\n"
        "data = bytearray(50_000_000)\n"
        "thread = threading.Thread(target=lambda: print('thread'))\n"
        "thread.start(); thread.join()\n"
        "os.urandom(8)\n"
        "print('done', flush=True)"
    )
    assert done.stdout.split() == ["thread", "done"], done


def test_memory_has_an_end() -> None:
    """What asks for more memory than a picture needs is told that there is none."""
    done = _run_inside("try:\n    bytearray(2_000_000_000)\nexcept MemoryError:\n    print('refused')")
    assert done.stdout.strip() == "refused", done


def test_processor_time_has_an_end() -> None:
    """A loop without end is ended by the system."""
    done = _run_inside("sandbox.allow_cpu_time(0)\nwhile True: pass")
    assert done.returncode < 0, done


def test_when_memory_runs_out_developing_ends_first() -> None:
    """Pictures that want all memory together cost previews, not the camera that holds the originals."""
    script = (
        "from safelight.clients.camera.develop import sandbox\n"
        "sandbox.die_with_parent()\n"
        "print(open('/proc/self/oom_score_adj').read())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "1000", done
