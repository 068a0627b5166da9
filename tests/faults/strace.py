"""What a traced server did: strace's lines as events, and a model of what a power loss would leave at each of them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tools.ensure_program import find

WRITES = "write,writev,pwrite64,pwritev,ftruncate"
SYNCS = "fsync,fdatasync"
NAMES = "openat,mkdir,rename,renameat,renameat2,unlink,unlinkat"
SOCKETS = "read,recvfrom,recvmsg,sendto,sendmsg"
COMMAND = (find("strace") or "strace", "-f", "--seccomp-bpf", "-yy", "-s", "600", "-e", "signal=none")

_LINE = re.compile(r"(?:(?P<thread>\d+) +)?(?P<name>\w+)\((?P<rest>.*)")
_RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
_RESULT = re.compile(r"\) += (?P<result>-?\d+)(?:<[^>]*>)?(?: (?P<error>E[A-Z]+))?.*$")
_FD = re.compile(r"^(?:AT_FDCWD|\d+)<(?P<path>.*?)>(?:[,)]|$)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_OFFSET = re.compile(r"Upload-Offset: (\d+)", re.IGNORECASE)


@dataclass
class Call:
    """One system call; *begin* and *end* are places in the trace's order."""

    thread: int
    name: str
    arguments: str
    begin: int
    end: int = -1
    result: int = -1
    error: str = ""
    injected: bool = False

    @property
    def path(self) -> str:
        """The file or socket that its first argument names."""
        found = _FD.match(self.arguments)
        return found["path"] if found else ""

    @property
    def texts(self) -> list[str]:
        """What stands in quotes: names, and the beginning of what is written."""
        found = _FD.match(self.arguments)
        return _QUOTED.findall(self.arguments[found.end() if found else 0 :])

    @property
    def text(self) -> str:
        """All of it, with line breaks as such."""
        return "".join(self.texts).replace("\\r\\n", "\n")


def calls(path: Path) -> list[Call]:
    """Parse a trace that `strace -yy` wrote, of one thread or (`-f`) of all."""
    found: list[Call] = []
    open_calls: dict[int, Call] = {}
    for place, line in enumerate(path.read_text(errors="replace").splitlines()):
        if resumed := _RESUMED.match(line):
            call = open_calls.pop(int(resumed["thread"]), None)
            if call is not None:
                call.arguments += resumed["rest"]
                _end(call, place)
        elif begun := _LINE.match(line):
            call = Call(int(begun["thread"] or 0), begun["name"], begun["rest"], place)
            found.append(call)
            if line.endswith("<unfinished ...>"):
                call.arguments = call.arguments.removesuffix("<unfinished ...>").rstrip()
                open_calls[call.thread] = call
            else:
                _end(call, place)
    return found


def _end(call: Call, place: int) -> None:
    call.end = place
    if result := _RESULT.search(call.arguments):
        call.result, call.error = int(result["result"]), result["error"] or ""
    call.injected = call.arguments.endswith("(INJECTED)")


@dataclass
class Stage:
    """A call's beginning or end, in the trace's order."""

    call: Call
    ends: bool


def stages(found: Iterable[Call]) -> Iterator[Stage]:
    """Yield beginnings and ends in order: what another thread does in between is in between."""
    places = [(call.begin, 0, number, Stage(call, ends=False)) for number, call in enumerate(found)]
    places += [(stage.call.end, 1, number, Stage(stage.call, ends=True)) for _, _, number, stage in places]
    yield from (stage for place, _, _, stage in sorted(places, key=lambda item: item[:3]) if place >= 0)


@dataclass
class _File:
    """A file's versions and bytes: all that were written, and those that a power loss leaves."""

    version: int = 0
    durable_version: int = 0
    size_bytes: int = 0
    durable_bytes: int = 0


@dataclass
class Exchange:
    """One request and its answer, what was done on the disk between them, and what would have been lost then."""

    request: str
    status: int
    done: list[Call]
    unsafe: list[str]
    interim: list[int] = field(default_factory=list)


class Disk:
    """Follows what is written below *data* and what of it is durable, from an empty folder on."""

    def __init__(self, data: Path) -> None:
        self._data = str(data)
        self._files: dict[str, _File] = {}
        self._names: dict[str, set[str]] = {}
        self._began: dict[int, tuple[int, int, frozenset[str]]] = {}

    def follow(self, stage: Stage) -> None:
        """Take the next stage."""
        call = stage.call
        if call.name in SYNCS.split(","):
            self._sync(stage)
        elif stage.ends and call.result >= 0:
            if call.name in WRITES.split(",") and self._ours(call.path):
                file = self._files.setdefault(call.path, _File())
                file.version += 1
                file.size_bytes += call.result
            elif call.name in NAMES.split(","):
                self._rename(call)

    def unsafe(self) -> list[str]:
        """What is not durable now."""
        lost = [
            f"bytes of {self._short(path)}" for path, file in self._files.items() if file.durable_version < file.version
        ]
        lost += [f"the name {self._short(name)}" for names in self._names.values() for name in sorted(names)]
        return lost

    def durable_part_bytes(self) -> int:
        """How many bytes are durable of the upload that is under way."""
        parts = [file.durable_bytes for path, file in self._files.items() if "/blobs/uploads/" in path]
        return max(parts, default=0)

    def _sync(self, stage: Stage) -> None:
        call = stage.call
        file = self._files.get(call.path, _File())
        if not stage.ends:
            self._began[id(call)] = (file.version, file.size_bytes, frozenset(self._names.get(call.path, ())))
        elif call.result == 0:
            version, size_bytes, names = self._began.pop(id(call))
            file.durable_version = max(file.durable_version, version)
            file.durable_bytes = max(file.durable_bytes, size_bytes)
            self._names.get(call.path, set()).difference_update(names)

    def _rename(self, call: Call) -> None:
        texts = call.texts
        if not texts or not self._ours(texts[0]):
            return
        if call.name == "openat":
            if "O_CREAT" in call.arguments and texts[0] not in self._files:
                self._files[texts[0]] = _File()
                self._new_name(texts[0])
        elif call.name == "mkdir":
            self._new_name(texts[0])
        elif call.name.startswith("rename"):
            self._forget_name(texts[0])
            self._files[texts[1]] = self._files.pop(texts[0], _File())
            self._new_name(texts[1])
        else:
            self._forget_name(texts[0])
            self._files.pop(texts[0], None)

    def _new_name(self, path: str) -> None:
        self._names.setdefault(str(PurePosixPath(path).parent), set()).add(path)

    def _forget_name(self, path: str) -> None:
        self._names.get(str(PurePosixPath(path).parent), set()).discard(path)

    def _ours(self, path: str) -> bool:
        """All that promises rest on; the shared index of the WAL and the locks are made anew."""
        return (path == self._data or path.startswith(f"{self._data}/")) and not path.endswith(("-shm", ".lock"))

    def _short(self, path: str) -> str:
        return path.removeprefix(self._data)


def exchanges(found: list[Call], data: Path, port: int) -> list[Exchange]:
    """What one client asked, one request after the other, with what was done on the disk for each answer."""
    disk, all_exchanges, done = Disk(data), list[Exchange](), list[Call]()
    request, interim = "", list[int]()
    for stage in stages(found):
        call = stage.call
        disk.follow(stage)
        if call.path.startswith((f"TCP:[127.0.0.1:{port}->", "UNIX-STREAM:")):
            text = call.text
            if call.name in {"read", "recvfrom", "recvmsg"}:
                if stage.ends and (line := _request(text)):
                    request, done, interim = line, [], []
            elif not stage.ends and (status := _status(text)):
                if status == 104:
                    offset = int(stated[1]) if (stated := _OFFSET.search(text)) else 0
                    if offset > disk.durable_part_bytes():
                        interim.append(offset)
                    continue
                all_exchanges.append(Exchange(request, status, done, disk.unsafe(), interim))
                done = []
        elif stage.ends and call.name not in {"openat", "read"} and str(data) in call.arguments:
            done.append(call)
    return all_exchanges


def _request(text: str) -> str:
    line = text.partition("\n")[0]
    if line.startswith('{\\"command'):
        return "invite"
    return line.removesuffix(" HTTP/1.1") if line.endswith(" HTTP/1.1") else ""


def _status(text: str) -> int:
    if text.startswith('{\\"code'):
        return 200
    return int(text[9:12]) if text.startswith("HTTP/1.1 ") else 0


def missing_step(exchange: Exchange, steps: Iterable[tuple[str, str]]) -> str:
    """The first of *steps* (patterns of a call's name and of its arguments) that is not done in this order."""
    after = -1
    for name, what in steps:
        ends = [
            call.end
            for call in exchange.done
            if re.fullmatch(name, call.name) and re.search(what, call.arguments) and call.begin > after
        ]
        if not ends:
            return f"{exchange.request}: no {name} of {what} after what goes before it"
        after = min(ends)
    return ""
