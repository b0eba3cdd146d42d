"""The limits of memory and processors that Linux control groups (v1 and v2) set for this process.

Containers and batch systems limit a process below what the machine has. https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60
"""Version 1 writes a number near 2^63 for "no limit"."""


class MemoryLimit(NamedTuple):
    """Bytes that this process and its group may use in all, and what is left of them."""

    total: int
    free: int


def memory_limit(root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> MemoryLimit | None:
    """The tightest limit of memory on the way up the group's tree; None where there is none."""
    found = []
    for folder in _folders("memory", root, membership):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit = _number(folder / limit_name)
            if limit is None or limit >= _UNLIMITED:
                continue
            used = _number(folder / used_name) or 0
            used -= min(used, _reclaimable(folder / "memory.stat"))
            found.append(MemoryLimit(limit, max(0, limit - used)))
    if not found:
        return None
    return MemoryLimit(min(limit.total for limit in found), min(limit.free for limit in found))


def cpu_limit(root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> float | None:
    """Processors' worth of time that the group may use (2.5: two and a half); None where there is no limit."""
    found = []
    for folder in _folders("cpu", root, membership):
        words = _read(folder / "cpu.max").split()
        quota, period = (
            (words[0], words[1])
            if len(words) == 2
            else (_read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip())
        )
        if quota.isdigit() and period.isdigit() and int(period) > 0 and int(quota) > 0:
            found.append(int(quota) / int(period))
    return min(found, default=None)


def _folders(controller: str, root: Path, membership: Path) -> Iterator[Path]:
    """The folders of this process's groups that hold a controller's files, from the innermost to the root."""
    for line in _read(membership).splitlines():
        parts = line.split(":", 2)
        if len(parts) != 3:
            continue
        _, controllers, path = parts
        if controllers == "":
            base = root
        elif controller in controllers.split(","):
            # The hierarchy is mounted under its own name or under the joined one (cpu,cpuacct).
            base = next((root / name for name in (controller, controllers) if (root / name).is_dir()), root)
        else:
            continue
        names = [name for name in path.split("/") if name not in ("", ".", "..")]
        for depth in range(len(names), -1, -1):
            yield base.joinpath(*names[:depth])


def _reclaimable(path: Path) -> int:
    """Bytes of file cache that the kernel gives back when they are needed."""
    facts = dict(line.split(None, 1) for line in _read(path).splitlines() if " " in line)
    value = facts.get("total_inactive_file", facts.get("inactive_file", "0")).strip()
    return int(value) if value.isdigit() else 0


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdigit() else None


def _read(path: Path) -> str:
    """A file of the kernel's; "" where it is not there, as on other systems."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
