"""The process table of one pass: what one call for each process tells, and command lines, parsed when somebody asks."""

from __future__ import annotations

import os
from typing import Dict, FrozenSet, Iterable, List, Mapping, Optional, Pattern, Sequence, Set, Tuple

from ..base import classify
from ..base.host import GatewayKind
from . import processes


class Table:
    """The process table: what one call for each process tells, and command lines, parsed when somebody asks.

    A gateway is a JVM, and a JVM has a dozen threads before it runs its main class. Most processes of a host have
    one, so that their command lines need not be read, unless patterns may name them.
    """

    def __init__(self, every_command_line: bool) -> None:
        self._entries: Dict[int, os.stat_result] = {}
        self._raw: Dict[int, bytes] = dict(
            processes.scan(processes.pids() if every_command_line else self._candidates())
        )
        self._parsed: Dict[int, Tuple[str, ...]] = {}
        self._stats: Dict[int, Optional[processes.Stat]] = {}
        self._exes: Dict[int, Optional[str]] = {}

    def _candidates(self) -> Iterable[int]:
        entries = self.entries()
        if not processes.threads_are_counted():
            return entries
        return [pid for pid, entry in entries.items() if processes.threads(entry) > 1]

    def entries(self) -> Mapping[int, os.stat_result]:
        """Every process, as processes.glance() has it; read when somebody asks."""
        if not self._entries:
            self._entries = processes.glance()
        return self._entries

    def by_age(self, first: Set[int]) -> List[int]:
        """Every process: those of these effective uids first, and the youngest first, as scripts mostly are."""
        entries = self.entries()
        pids = sorted(entries, reverse=True)
        return [pid for pid in pids if entries[pid].st_uid in first] + [
            pid for pid in pids if entries[pid].st_uid not in first
        ]

    def argv(self, pid: int) -> Tuple[str, ...]:
        if pid not in self._parsed:
            raw = self._raw.get(pid)
            self._parsed[pid] = processes.read_argv(pid) if raw is None else processes.parse_cmdline(raw)
        return self._parsed[pid]

    def stat(self, pid: int) -> Optional[processes.Stat]:
        """Read once in a pass; what is described by it is compared with what the kernel says when the pass ends."""
        if pid not in self._stats:
            self._stats[pid] = processes.read_stat(pid)
        return self._stats[pid]

    def ancestors(self, pid: int) -> FrozenSet[int]:
        return processes.ancestors(pid, self.stat)

    def exe(self, pid: int) -> Optional[str]:
        """The program a process runs, which its command line cannot fake; None where it may not be read."""
        if pid not in self._exes:
            self._exes[pid] = processes.read_exe(pid)
        return self._exes[pid]

    def kind(self, pid: int) -> Optional[GatewayKind]:
        """What kind of gateway a process is; None for everything else."""
        return classify.gateway_kind(self.argv(pid), self.exe(pid))

    def gateways(self) -> Set[int]:
        return {pid for pid, raw in self._raw.items() if classify.may_be_gateway(raw) and self.kind(pid)}

    def matching(self, patterns: Sequence[Pattern[str]]) -> Set[int]:
        """Processes that a pattern names: by their own command line, or a worker by that of its script."""

        def named(argv: Sequence[str]) -> bool:
            return any(classify.matches_client(each, argv) for each in patterns)

        found = {pid for pid in self._raw if named(self.argv(pid))}
        if patterns:
            from .workers import working  # only who is named by a pattern has workers that are

            found |= {pid for pid, script in working(self._raw, self.argv, self.stat) if named(script)}
        return found
