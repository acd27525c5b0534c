"""Everything that can happen to a simulated host from outside: each trouble is one word, a number says to whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, TypeVar

from ansible.module_utils.ib_gateway.state import repair_state
from ansible.module_utils.ib_gateway.state.journal import JournalUnusable
from ansible.module_utils.ib_gateway.state.records import rfc3339
from ansible.module_utils.ib_gateway.state.store import Busy
from unit.simulated_host import SimHost
from unit.simulated_parts import FRESH, OWN, PORTS, SimProcess
from unit.simulated_promises import Promises
from unit.simulated_truth import NAMED, PROTECTED, latches

One = TypeVar("One")
#: Who may come: a script of no name, one that client_patterns name, one that is protected, a relay, a gateway.
ARGVS = {
    "script": ("python3", "bot.py"),
    "named": ("python3", NAMED + "_positions.py"),
    "protected": ("python3", PROTECTED + ".py"),
    "relay": ("/usr/bin/socat", "TCP-LISTEN:1", "TCP:2"),
    "gateway": ("/opt/jre/bin/java", "-DjtsConfigDir=/srv/live", "ibgateway.GWClient"),
}


class Troubles:
    """Makes trouble on one host, and tells those who watch it what they could not know."""

    def __init__(self, host: SimHost, watch: Promises, state_dir: str) -> None:
        self.host, self.watch, self.state_dir = host, watch, Path(state_dir)
        #: Pids that a plan names: trouble prefers them.
        self.named: List[int] = []
        #: What may happen between any two calls: all but what no program could see in time.
        self.sudden: Dict[str, Callable[[int], None]] = {
            "a pid is reused": self.reuse,
            "a script goes": self.script_goes,
            "a script comes": self.script_comes,
            "a gateway hangs": self.gateway_hangs,
            "permission goes": self.permission,
            "the disk fills": self.disk,
            "the clock is set": self.clock_is_set,
            "somebody presses stop": self.pause,
            "time passes": lambda number: self.host.pass_time(number % 7),
        }
        self.slow: Dict[str, Callable[[int], None]] = {
            "a gateway dies": self.gateway_dies,
            "a gateway goes deaf": self.gateway_goes_deaf,
            "a gateway moves to another port": self.gateway_moves,
            "a second gateway comes": self.gateway_comes,
            "a stranger's gateway comes": self.strange_gateway,
            "a stranger takes a port": self.port_taken,
            "a process becomes another program": self.becomes,
            "a process does not end any more": self.stubborn,
            "a start turns out badly": self.bad_start,
            "the host restarts": self.reboot,
            "minutes pass": lambda number: self.host.pass_time((20.0, 45.0, 70.0, 300.0)[number % 4]),
            "the journal is damaged": self.damaged,
            "the journal is lost": self.lost,
            "the journal is torn": self.torn,
            "a person resets the repair state": self.reset,
            "all is well again": self.mended,
        }

    # --- processes ---

    def _pick(self, number: int, among: Sequence[One]) -> Optional[One]:
        return among[number % len(among)] if among else None

    def _scripts(self) -> List[SimProcess]:
        return [each for each in self.host.processes.values() if each.argv[0] == "python3" and each.pid != OWN]

    def _gateways(self) -> List[SimProcess]:
        return [each for each in self.host.processes.values() if each.is_gateway]

    def reuse(self, number: int) -> None:
        """A process ends and a stranger has its pid, often one that runs the very same command.

        Not a process of a unit, which systemd would start again.
        """
        ours = [each for each in [*self._scripts(), *self._gateways()] if each.unit is None]
        one = self._pick(number, [each for each in ours if each.pid in self.named] or ours)
        if one is not None:
            argv = one.argv if number % 2 else list(ARGVS.values())[number // 7 % len(ARGVS)]
            self.host.die(one)
            folder = "/srv/live" if argv[0].endswith("java") else "/"
            self.host.add(one.pid, argv, cwd=folder, ends_in=one.ends_in, entry=one.entry if argv == one.argv else "")

    def script_comes(self, number: int) -> None:
        """A script opens a session; of any kind, orphaned or not, or one on another host."""
        kinds = ["script", "script", "script", "named", "named", "protected", "relay", "remote", "own"]
        kind = kinds[number % len(kinds)]
        server = self._pick(number // 9, self._gateways())
        if server is None:
            return
        client: Optional[SimProcess] = self.host.processes[OWN]
        if kind == "remote":
            client = None
        elif kind != "own":
            client = self.host.add(self.host.new_pid(), ARGVS[kind], ppid=1 if number % 2 else 700)
        self.host.connect(server, client, 80 if number % 5 == 0 else 5000)

    def script_goes(self, number: int) -> None:
        """A script ends."""
        one = self._pick(number, [each for each in self._scripts() if each.pid in self.named] or self._scripts())
        if one is not None:
            self.host.die(one)

    def gateway_hangs(self, number: int) -> None:
        """A gateway answers otherwise from now on."""
        one = self._pick(number, self._gateways())
        if one is not None:
            one.api = FRESH[number // 3 % len(FRESH)]

    def gateway_dies(self, number: int) -> None:
        """A gateway ends; its unit does not start it again."""
        one = self._pick(number, self._gateways())
        if one is not None:
            self.host.die(one)

    def gateway_goes_deaf(self, number: int) -> None:
        """A gateway listens no more."""
        one = self._pick(number, self._gateways())
        if one is not None:
            one.listens_at = float("inf")

    def gateway_moves(self, number: int) -> None:
        """A gateway listens on another port."""
        one = self._pick(number, self._gateways())
        if one is not None:
            one.port, one.listens_at = (7496, 4001, 4002)[number // 5 % 3], self.host.clock

    def gateway_comes(self, number: int) -> None:
        """One more gateway of an entry, by hand."""
        name = ("live", "paper")[number % 2]
        self.host.add_gateway(name, PORTS[name])

    def strange_gateway(self, number: int) -> None:
        """A gateway that fits no entry: of another account, or of another folder."""
        more: Dict[str, Any] = {"user": "mallory"} if number % 2 else {"cwd": "/srv/other"}
        one = self.host.add_gateway("live", (4001, 7496)[number // 2 % 2], **more)
        if "cwd" in more:
            one.argv = tuple(each.replace("/srv/live", "/srv/other") for each in one.argv)
        one.entry = ""

    def port_taken(self, number: int) -> None:
        """Another program, or a relay, listens on an entry's port."""
        argv = ARGVS["relay"] if number % 2 else ("nc", "-l")
        self.host.add(self.host.new_pid(), argv, port=(4001, 4002)[number // 2 % 2], listens_at=self.host.clock)

    def becomes(self, number: int) -> None:
        """A process runs another program from now on."""
        one = self._pick(number, [each for each in [*self._scripts(), *self._gateways()] if each.unit is None])
        if one is not None:
            one.argv = list(ARGVS.values())[number // 7 % len(ARGVS)]
            if one.is_gateway:
                one.entry = "live"  # as its folder says now

    def stubborn(self, number: int) -> None:
        """A process ignores SIGTERM, or needs long for it."""
        one = self._pick(number, [*self._scripts(), *self._gateways()])
        if one is not None:
            one.ends_in = (None, 3.0, 30.0)[number // 5 % 3]

    def bad_start(self, number: int) -> None:
        """The next gateway that is started is not what was hoped for."""
        self.host.next_start.append(("deaf", "brief", "stalled", "upstream")[number % 4])

    def reboot(self, _number: int) -> None:
        """The host restarts."""
        self.host.reboot()

    # --- the host ---

    def permission(self, _number: int) -> None:
        """The run may do and see everything, or no more."""
        self.host.privileged = not self.host.privileged

    def disk(self, number: int) -> None:
        """The disk is full, read-only, or well."""
        self.host.disk = ("full", "read-only", "ok")[number % 3]

    def clock_is_set(self, number: int) -> None:
        """Somebody sets the wall clock."""
        self.watch.set_clocks += 1
        self.host.wall = max(1e9, self.host.wall + (-86400.0, -4000.0, 4000.0, 86400.0)[number % 4])

    # --- the books ---

    def _file(self, name: str) -> Path:
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.state_dir / name

    def pause(self, number: int) -> None:
        """A pause file comes or goes; one that nobody understands counts."""
        file = self._file("pause.json")
        until = rfc3339(self.host.wall + (600, 5000, -10)[number % 3])
        if number % 5 == 4:
            if file.exists():
                file.unlink()
        else:
            file.write_text("soon" if number % 5 == 3 else json.dumps({"reason": "a person works", "until": until}))

    def damaged(self, number: int) -> None:
        """One byte of a whole line is not what it was."""
        file = self.state_dir / "journal.jsonl"
        data = bytearray(file.read_bytes()) if file.exists() else bytearray()
        end = data.rfind(b"\n")
        if end > 10 and self.watch.books == "ok":  # a second hit could make it whole again
            data[number % (end - 2)] ^= 1
            file.write_bytes(data)
            self.watch.books = "damaged"

    def lost(self, _number: int) -> None:
        """The journal is gone, and its marker says that there was one."""
        file = self.state_dir / "journal.jsonl"
        if file.exists() and (self.state_dir / "journal.id").exists():
            file.unlink()
            self.watch.books = "lost"

    def torn(self, number: int) -> None:
        """Half a record stands at the end, as a run leaves it that is killed amid a write."""
        file = self.state_dir / "journal.jsonl"
        if file.exists():
            with file.open("ab") as end:
                end.write(b'{"v":1,"n":99,"at":"2026'[: 1 + number % 20])

    def reset(self, _number: int) -> None:
        """A person mends what keeps the host from being used, and lets the gateways go."""
        try:
            found = repair_state.release(str(self.state_dir), [], "alice", "seen to", True, False)
        except (Busy, JournalUnusable):
            if self.watch.books == "ok":  # one may have been written before the disk was full
                self.watch.latched &= latches(self.state_dir)
            return
        self.watch.latched.difference_update(found["released"])
        if found["set_aside"] or self.watch.books == "lost":
            # A new journal knows nothing of the old one's repairs: that is what a person has taken upon himself.
            self.watch.forget()

    def mended(self, _number: int) -> None:
        """Nothing is wrong with the host itself any more."""
        self.host.disk, self.host.privileged = "ok", True
        file = self.state_dir / "pause.json"
        if file.exists():
            file.unlink()
