"""What the developing process takes away from itself before it looks at a picture (docs/threat-model.md).

Everywhere: limits on memory, processor time, files and what may be written. On Linux (x86-64, arm64) besides a filter
on system calls: only those that computing, memory and the one open socket need are let through; opening files, starting
programs and every kind of network fail with EPERM. Elsewhere the limits alone hold: a picture that takes over a decoder
there has what the user has, but no keys, since this process never had any.
"""

import contextlib
import ctypes
import os
import platform
import resource
import struct
import sys
from pathlib import Path

MEMORY_LIMIT_BYTES = 1536 * 1024 * 1024
CPU_LIMIT_S = 40
_FILES_LIMIT = 32

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_SIGKILL = 9

_RET_ALLOW = 0x7FFF0000
_RET_EPERM = 0x00050001
_RET_ENOSYS = 0x00050026
_CLONE_THREAD = 0x00010000

_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_FIRST_ARGUMENT = 0, 4, 16

# Numbers of the system calls that are let through: by name, for x86-64 and arm64 (None where there is none).
_ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "poll": (7, None), "ppoll": (271, 73),
    "lseek": (8, 62), "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67),
    "readv": (19, 65), "writev": (20, 66), "sched_yield": (24, 124), "mremap": (25, 216), "madvise": (28, 233),
    "dup": (32, 23), "nanosleep": (35, 101), "getpid": (39, 172), "sendto": (44, 206), "recvfrom": (45, 207),
    "sendmsg": (46, 211), "recvmsg": (47, 212), "exit": (60, 93), "uname": (63, 160), "fcntl": (72, 25),
    "getrusage": (98, 165), "sysinfo": (99, 179), "sigaltstack": (131, 132), "gettid": (186, 178), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "restart_syscall": (219, 128),
    "clock_gettime": (228, 113), "clock_nanosleep": (230, 115), "exit_group": (231, 94),
    "set_robust_list": (273, 99), "getrandom": (318, 278), "membarrier": (324, 283), "rseq": (334, 293),
    "getrlimit": (97, 163),
}  # fmt: skip
_CLONE, _CLONE3, _PRLIMIT = (56, 220), 435, (302, 261)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def enter() -> bool:
    """Give up all that developing does not need, for good; return whether system calls are filtered, too."""
    limits = {
        resource.RLIMIT_NOFILE: _FILES_LIMIT,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":  # other systems accept the limit and do not hold it, or refuse it
        limits[resource.RLIMIT_AS] = MEMORY_LIMIT_BYTES
    for kind, value in limits.items():
        resource.setrlimit(kind, (value, value))
    os.umask(0o777)
    with contextlib.suppress(OSError):
        os.nice(5)  # whoever uses the computer comes first
    return sys.platform == "linux" and _filter_system_calls()


def allow_cpu_time(seconds: int = CPU_LIMIT_S) -> None:
    """Let this process use so many more *seconds* of processor time; past them the system ends it.

    This stops a decoder that loops. One that was taken over could extend it; whoever waits for the answer ends that.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def die_with_parent() -> None:
    """End this process when the one that started it ends (Linux; elsewhere the closed socket ends it), or sooner.

    Sooner: when pictures that want much memory use up what there is, this process is ended before any other.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        _prctl(_PR_SET_DUMPABLE, 0)


def _filter_system_calls() -> bool:
    known = _ARCHITECTURES.get(platform.machine())
    if known is None:
        return False
    filter_ = _program(*known)
    code = ctypes.create_string_buffer(filter_, len(filter_))
    # struct sock_fprog: the number of instructions and where they are.
    program = ctypes.create_string_buffer(struct.pack("@HP", len(filter_) // 8, ctypes.addressof(code)))
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1) and _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program))


def _program(column: int, architecture: int) -> bytes:
    """The filter: refuse another architecture's numbers, let the list through, and threads but no processes."""
    numbers = sorted(number for pair in _ALLOWED.values() if (number := pair[column]) is not None)
    instructions: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _OFFSET_ARCH),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _RET_EPERM),
        (_LOAD, 0, 0, _OFFSET_NUMBER),
    ]
    for number in numbers:
        instructions += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _RET_ALLOW)]
    instructions += [
        # Limits of this process alone (its number stands as 0): its processor time is extended picture by picture.
        (_JUMP_EQUAL, 0, 4, _PRLIMIT[column]),
        (_LOAD, 0, 0, _OFFSET_FIRST_ARGUMENT),
        (_JUMP_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, _RET_ALLOW),
        (_RETURN, 0, 0, _RET_EPERM),
        # The C library falls back from clone3, whose flags a filter cannot see, to clone, whose flags it can.
        (_JUMP_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _RET_ENOSYS),
        (_JUMP_EQUAL, 1, 0, _CLONE[column]),
        (_RETURN, 0, 0, _RET_EPERM),
        (_LOAD, 0, 0, _OFFSET_FIRST_ARGUMENT),
        (_JUMP_SET, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _RET_ALLOW),
        (_RETURN, 0, 0, _RET_EPERM),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def _prctl(option: int, argument: int, pointer: int = 0) -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(value) for value in (argument, pointer, 0, 0)]
    return bool(library.prctl(ctypes.c_int(option), *arguments) == 0)
