"""Stop a real process at its real system calls about one folder: look at each, let it be, refuse it, cut it short.

The kernel's own debugging interface, ptrace(2), through ctypes: nothing has to be installed or compiled, and whatever
issues a system call (Python, numpy, a native library) is seen. x86-64 Linux only: the registers are its.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

_TRACEME, _CONT, _GETREGS, _SETREGS, _SYSCALL, _SETOPTIONS = 0, 7, 12, 13, 24, 0x4200
_MARK_SYSCALLS, _STOP_AT_FILTER, _END_WITH_TRACER = 0x1, 0x80, 0x100000
_EXIT_STOP = signal.SIGTRAP | 0x80
_ENTRY_STOP = signal.SIGTRAP | (7 << 8)
_SET_SECCOMP, _SET_NO_NEW_PRIVILEGES, _FILTER_MODE = 22, 38, 2
_LOAD_NUMBER, _IF_EQUAL, _RETURN, _ALLOW, _TRACE = 0x20, 0x15, 0x06, 0x7FFF0000, 0x7FF00000
_NUM_REGISTERS, _RESULT, _CALL = 27, 10, 15
_ARGUMENTS = (14, 13, 12, 7, 9, 8)
_AT_FDCWD = -100


@dataclass(frozen=True)
class Signature:
    """Where a call's arguments name files: ``paths`` as (folder's descriptor or None, path)."""

    name: str
    paths: tuple[tuple[int | None, int], ...] = ()
    descriptor: int | None = None


_SIGNATURES = {
    0: Signature("read", descriptor=0),
    1: Signature("write", descriptor=0),
    2: Signature("open", ((None, 0),)),
    3: Signature("close", descriptor=0),
    4: Signature("stat", ((None, 0),)),
    5: Signature("fstat", descriptor=0),
    6: Signature("lstat", ((None, 0),)),
    8: Signature("lseek", descriptor=0),
    16: Signature("ioctl", descriptor=0),
    17: Signature("pread64", descriptor=0),
    18: Signature("pwrite64", descriptor=0),
    21: Signature("access", ((None, 0),)),
    72: Signature("fcntl", descriptor=0),
    74: Signature("fsync", descriptor=0),
    75: Signature("fdatasync", descriptor=0),
    76: Signature("truncate", ((None, 0),)),
    77: Signature("ftruncate", descriptor=0),
    82: Signature("rename", ((None, 0), (None, 1))),
    83: Signature("mkdir", ((None, 0),)),
    84: Signature("rmdir", ((None, 0),)),
    86: Signature("link", ((None, 0), (None, 1))),
    87: Signature("unlink", ((None, 0),)),
    90: Signature("chmod", ((None, 0),)),
    137: Signature("statfs", ((None, 0),)),
    138: Signature("fstatfs", descriptor=0),
    217: Signature("getdents64", descriptor=0),
    257: Signature("openat", ((0, 1),)),
    258: Signature("mkdirat", ((0, 1),)),
    262: Signature("newfstatat", ((0, 1),)),
    263: Signature("unlinkat", ((0, 1),)),
    264: Signature("renameat", ((0, 1), (2, 3))),
    265: Signature("linkat", ((0, 1), (2, 3))),
    285: Signature("fallocate", descriptor=0),
    316: Signature("renameat2", ((0, 1), (2, 3))),
    332: Signature("statx", ((0, 1),)),
}

_CHANGES = {"write", "pwrite64", "fsync", "fdatasync", "truncate", "ftruncate", "fallocate", "chmod"}
_CHANGES |= {"rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"}

ALL = frozenset(each.name for each in _SIGNATURES.values())
CHANGES = frozenset(_CHANGES | {"openat"})

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, pid: int, data: object = None) -> None:
    if _libc.ptrace(request, pid, None, data) < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"ptrace: {os.strerror(code)}")


@dataclass(frozen=True)
class Call:
    """One system call about the folder, before it is made; ``paths`` are absolute, in the order of its arguments."""

    name: str
    paths: tuple[Path, ...]
    arguments: tuple[int, ...]

    @property
    def is_change(self) -> bool:
        """Whether the call changes what is on the disk, or makes a change durable."""
        return self.name in _CHANGES or (self.name == "openat" and bool(self.arguments[2] & os.O_CREAT))


class Traced:
    """A child that runs ``body`` and stops at each of its system calls about ``folder`` and what is in it.

    A filter in the kernel lets every call pass that is not ``watched``: it costs nothing.
    """

    def __init__(self, body: Callable[[], None], folder: Path, watched: Collection[str] = ALL) -> None:
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            raise NotImplementedError("system calls are traced on x86-64 Linux only")
        self._folder = os.fspath(folder)
        self._registers = (ctypes.c_ulonglong * _NUM_REGISTERS)()
        self.status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _run_traced(body, watched)
        _, status = os.waitpid(self.pid, 0)
        if not os.WIFSTOPPED(status):
            raise NotImplementedError("the kernel lets no process trace its child here")
        _ptrace(_SETOPTIONS, self.pid, _MARK_SYSCALLS | _STOP_AT_FILTER | _END_WITH_TRACER)
        self._memory = os.open(f"/proc/{self.pid}/mem", os.O_RDONLY)

    def next_call(self) -> Call | None:
        """Run to the entry of the next call about the folder; None at the process's end."""
        while self._run(_CONT, _ENTRY_STOP):
            call = self._decode()
            if call is not None:
                return call
        return None

    def finish(self) -> int | None:
        """Make the call at whose entry the process stands, and return its result; None where it ended the process."""
        return self._result() if self._run(_SYSCALL, _EXIT_STOP) else None

    def shorten(self, count: int) -> int | None:
        """Make the call with ``count`` as its third argument: a write of fewer bytes."""
        self._read_registers()
        self._registers[_ARGUMENTS[2]] = count
        self._write_registers()
        return self.finish()

    def refuse(self, error: int) -> None:
        """Let the call return ``-error`` without having been made."""
        self._read_registers()
        self._registers[_CALL] = ctypes.c_ulonglong(-1).value
        self._write_registers()
        self._run(_SYSCALL, _EXIT_STOP)
        self.answer(-error)

    def answer(self, result: int) -> None:
        """Replace the result of the call that has just been made."""
        self._read_registers()
        self._registers[_RESULT] = ctypes.c_ulonglong(result).value
        self._write_registers()

    def kill(self) -> None:
        """SIGKILL where it stands; a call at whose entry it stands is not made."""
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            _, self.status = os.waitpid(self.pid, 0)
            while not (os.WIFSIGNALED(self.status) or os.WIFEXITED(self.status)):
                _, self.status = os.waitpid(self.pid, 0)
            os.close(self._memory)

    def let_go(self) -> int:
        """Let it run to its end, and return its exit code."""
        while self.status is None:
            self._run(_CONT, _ENTRY_STOP)
        return os.waitstatus_to_exitcode(self.status)

    def memory(self, address: int, count: int) -> bytes:
        """``count`` bytes of the process's memory."""
        return os.pread(self._memory, count, address)

    def descriptor_path(self, descriptor: int) -> str:
        """What the process's descriptor is open on; "" where the kernel has no name for it."""
        try:
            return str(Path(f"/proc/{self.pid}/fd/{descriptor}").readlink())
        except OSError:
            return ""

    def position(self, descriptor: int) -> int:
        """Where the next write through ``descriptor`` goes."""
        text = Path(f"/proc/{self.pid}/fdinfo/{descriptor}").read_text(encoding="ascii")
        return int(text.split("pos:")[1].split()[0])

    def _run(self, request: int, awaited: int) -> bool:
        passed_on = 0
        while True:
            _ptrace(request, self.pid, passed_on)
            _, status = os.waitpid(self.pid, 0)
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                self.status = status
                os.close(self._memory)
                return False
            if status >> 8 == awaited:
                return True
            passed_on = os.WSTOPSIG(status)

    def _decode(self) -> Call | None:
        self._read_registers()
        signature = _SIGNATURES.get(self._registers[_CALL])
        if signature is None:
            return None
        arguments = tuple(self._registers[place] for place in _ARGUMENTS)
        if signature.descriptor is not None:
            named = [self.descriptor_path(arguments[signature.descriptor])]
        else:
            named = [self._named(arguments, *places) for places in signature.paths]
        if not any(name == self._folder or name.startswith(f"{self._folder}/") for name in named):
            return None
        paths = tuple(Path(name) for name in named)
        return Call(signature.name, paths, arguments)

    def _named(self, arguments: tuple[int, ...], folder: int | None, path: int) -> str:
        name = os.fsdecode(self._string(arguments[path]))
        descriptor = _AT_FDCWD if folder is None else ctypes.c_int(arguments[folder]).value
        if name.startswith("/") or descriptor == _AT_FDCWD:
            return name
        return f"{self.descriptor_path(descriptor)}/{name}".rstrip("/")

    def _string(self, address: int) -> bytes:
        text = b""
        while b"\0" not in text and address:
            # Up to the page's end: what lies behind it may not be mapped.
            piece = self.memory(address, 4096 - address % 4096)
            text, address = text + piece, address + len(piece)
        return text.partition(b"\0")[0]

    def _result(self) -> int:
        self._read_registers()
        return ctypes.c_longlong(self._registers[_RESULT]).value

    def _read_registers(self) -> None:
        _ptrace(_GETREGS, self.pid, ctypes.byref(self._registers))

    def _write_registers(self) -> None:
        _ptrace(_SETREGS, self.pid, ctypes.byref(self._registers))


def _run_traced(body: Callable[[], None], watched: Collection[str]) -> None:
    code = 99
    with contextlib.suppress(BaseException):
        _ptrace(_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        _stop_at([number for number, signature in _SIGNATURES.items() if signature.name in watched])
        body()
        code = 0
    os._exit(code)


def _stop_at(numbers: list[int]) -> None:
    """Have the kernel stop this process at the calls ``numbers`` and at no others."""
    jumps = [(_IF_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)]
    lines = [(_LOAD_NUMBER, 0, 0, 0), *jumps, (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _TRACE)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(program)))
    for request in ((_SET_NO_NEW_PRIVILEGES, 1, 0), (_SET_SECCOMP, _FILTER_MODE, ctypes.addressof(header))):
        if _libc.prctl(*(ctypes.c_ulong(value) for value in request), ctypes.c_ulong(0), ctypes.c_ulong(0)):
            raise OSError(ctypes.get_errno(), "prctl")
