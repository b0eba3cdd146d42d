"""What a child process that loads untrusted files gives up before it does so: core dumps and sockets."""

from __future__ import annotations

import ctypes
import platform
import sys
from typing import Any

_SOCKET_CALLS = {"x86_64": (0xC000003E, (41, 42, 53)), "aarch64": (0xC00000B7, (198, 203, 199))}
"""Audit architecture, and the numbers of socket, connect and socketpair."""


def confine() -> list[str]:
    """Give them up; returns what is in force, in words. Nothing here raises where the system lacks the means."""
    done = []
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        done.append("no core dumps")
    except (ImportError, ValueError, OSError):
        pass
    sys.addaudithook(_no_sockets)
    done.append("no sockets from Python")
    if _filter_calls():
        done.append("no sockets at all")
    return done


def _no_sockets(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in {"socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo"}:
        raise PermissionError(f"{event}: an engine's process has no network")


def _filter_calls() -> bool:
    """Let the kernel refuse the socket calls (Linux, seccomp); returns whether it does."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _SOCKET_CALLS:
        return False
    architecture, calls = _SOCKET_CALLS[machine]

    def step(code: int, yes: int, no: int, value: int) -> bytes:
        return code.to_bytes(2, sys.byteorder) + bytes((yes, no)) + value.to_bytes(4, sys.byteorder)

    load, equal, give = 0x20, 0x15, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000 | 1  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM
    program = [step(load, 0, 0, 4), step(equal, 1, 0, architecture), step(give, 0, 0, allow), step(load, 0, 0, 0)]
    for index, call in enumerate(calls):
        program.append(step(equal, len(calls) - index, 0, call))
    program += [step(give, 0, 0, allow), step(give, 0, 0, refuse)]
    code = ctypes.create_string_buffer(b"".join(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    loaded = Program(len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(set_seccomp, filter_mode, ctypes.byref(loaded), 0, 0) == 0)
