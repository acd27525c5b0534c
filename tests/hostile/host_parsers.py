"""Every parser that reads, on a host, what another account, a peer or a program wrote there; with valid samples."""

from __future__ import annotations

import json
import os
import re
import socket
import time
import zlib
from typing import Callable, Tuple

from ansible.module_utils.ib_gateway.api import messages, protobuf, requests, wire
from ansible.module_utils.ib_gateway.api.dialogue import Dialogue
from ansible.module_utils.ib_gateway.api.farms import Farms
from ansible.module_utils.ib_gateway.base import (
    classify,
    command_line,
    control_scripts,
    crontab,
    ibc_words,
    installation,
    java_line,
    launchers,
    plain_text,
    redaction,
    short_command,
)
from ansible.module_utils.ib_gateway.base.probe import FULL
from ansible.module_utils.ib_gateway.lifecycle import engine, ibc, program, systemctl
from ansible.module_utils.ib_gateway.observe import (
    ended_by_start,
    ibc_log,
    keepers,
    proc_net,
    processes,
    relays,
    sockets,
    start_scripts,
)
from ansible.module_utils.ib_gateway.state import journal, lease, pause, records, self_heal
from unit.api_frames import ACCOUNTS, HELLO, ORDER_ID, SYNCED, TIME, notice, proto_frame, raw_frame
from unit.facts import gateway, script, spec
from unit.lifecycle.test_engine import DOCKER, PODMAN
from unit.observe.test_sockets import SEQUENCE, attribute, diag, message
from unit.repair_records import record

from hostile.fuzz import Parser
from hostile.mutations import repeated

VERSIONS = (100, 151, 176, 194, 200, 201, 213, 226)
_RESIGNED = re.compile(rb',"crc":"[^"]*"\}$')


def text(data: bytes) -> str:
    """Bytes as the readers of text files hand them on."""
    return data.decode("utf-8", "backslashreplace")


def over_text(call: Callable[[str], object]) -> Callable[[bytes], object]:
    """A parser of texts as one of bytes."""

    def parse(data: bytes) -> object:
        return call(text(data))

    parse.__name__ = getattr(call, "__name__", "parse")
    return parse


def self_heal_record(data: bytes) -> None:
    """A host's record of its own runs, read at some moment."""
    assert self_heal.parse(data, 1e9)["result"] in self_heal.RESULTS


# --- the peer on the port --------------------------------------------------------------------------------------------


def frames(data: bytes) -> None:
    """The stream in one piece, and byte by byte at its beginning."""
    list(wire.FrameDecoder().feed(data))
    decoder = wire.FrameDecoder(wire.MAX_HELLO_FRAME)
    for place in range(min(len(data), 300)):
        list(decoder.feed(data[place : place + 1]))


def early(data: bytes) -> None:
    """A frame before the session."""
    messages.parse_early(data)
    messages.server_version(data)


def any_version(data: bytes) -> None:
    """A frame of a session, in every shape that there is; each is refused for itself."""
    refused = None
    for version in VERSIONS:
        try:
            found = messages.parse(data, version)
        except wire.ProtocolError as error:
            refused = error
        else:
            assert not isinstance(found, messages.ApiError) or found.text.isprintable()
    if refused is not None:
        raise refused


def conversation(data: bytes) -> None:
    """A whole session; what came of it can be shown and written down."""
    dialogue = Dialogue(900_000_001, 5.0, FULL, offered=wire.SPOKEN)
    dialogue.connected()
    for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
        wanted = dialogue.receive(piece) + dialogue.time_is_late()
        for each in wanted + dialogue.parting():
            requests.encode(each, dialogue.server_version or 0)
    dialogue.expired()
    dialogue.ended("ECONNRESET")
    found = dialogue.probe("socket")
    shown = {**found._asdict(), "timings_ms": dict(found.timings_ms), "sync": dict(found.sync)}
    assert json.dumps(shown).isprintable()
    assert str((found.error or {}).get("message", "")).isprintable()


def farms(data: bytes) -> None:
    """Notices about farms."""
    found = Farms()
    for line in text(data).split("\n"):
        for code in (2103, 2105, 2107, 2119, 2157):
            found.take(code, line)
    assert all(each.name.isprintable() for each in found.broken)


def command_server(data: bytes) -> None:
    """What IBC's command server answers."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.sendall(data[:4096])
        ibc._answers(ours, time.monotonic() + 60, more=True)


_SESSION = HELLO + notice(2104, "farm connection is OK:usfarm") + ORDER_ID + ACCOUNTS + TIME + b"".join(SYNCED)
_BINARY = (
    raw_frame("226", "20260425 15:23:54 EST")
    + proto_frame(9, (1, 1))
    + proto_frame(15, (1, "DU1234567,"))
    + proto_frame(4, (1, -1), (2, 1), (3, 2103), (4, "a farm:usfarm"))
    + proto_frame(49, (1, 1745600000))
)
_MESSAGES = (
    proto_frame(15, (1, "DU1234567,U7654321"))[4:],
    proto_frame(4, (1, -1), (2, 1), (3, 2103), (4, "pw=secret usfarm"))[4:],
)
_FRAMES = (
    *(frame[4:] for frame in (HELLO, ORDER_ID, ACCOUNTS, TIME, *SYNCED, notice(1100, "Connectivity lost DU1234567"))),
    *_MESSAGES,
    b"\0\0\0\x04-1\x00326\x00id in use\0",
)
PEER = (
    Parser("frames", (frames,), (_SESSION, _BINARY), (wire.ProtocolError,), most=1 << 18),
    Parser("messages", (early, any_version), _FRAMES, (wire.ProtocolError,), most=1 << 18),
    Parser("protobuf", (protobuf.decode,), tuple(each[4:] for each in _MESSAGES), (protobuf.BadMessage,), most=1 << 18),
    Parser("conversation", (conversation,), (_SESSION, _BINARY), most=1 << 18),
    Parser("farms", (farms,), (b"a connection is broken:usfarm\ninactive but available upon demand.euhmds",)),
    Parser("command server", (command_server,), (b"OK RESTART in progress\nOK RESTART at 11:45 PM\n",), most=4096),
)

# --- the kernel's tables ---------------------------------------------------------------------------------------------


def netlink(data: bytes) -> None:
    """One datagram; rows can be shown."""
    rows, _done = sockets.parse_netlink(data, SEQUENCE)
    assert all(each.local and each.state.isprintable() for each in rows)


def proc_net_lines(data: bytes) -> None:
    """A table as a file of lines."""
    for line in data.decode("ascii", "replace").splitlines():
        proc_net.parse_line(line)


def groups(data: bytes) -> None:
    """A process's control groups; first: those of the first process are as strange."""
    cgroup = text(data)
    processes.parse_unit(cgroup, lambda: cgroup)
    processes.parse_user_unit(cgroup)


_ROW = diag(("127.0.0.1", 4001), ("127.0.0.1", 50000), attributes=attribute(2, bytes(range(200))))
_LISTENER = diag(("::", 4002), ("::", 0), state=10, attributes=attribute(11, b"\1"))
_TCP = (
    b"   0: 0100007F:0FA1 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 8812 1 0 20 4 30 10\n"
    b"   1: 00000000000000000000000001000000:0FA1 00000000000000000000000000000000:0000 0A 00000000:00000003 "
    b"00:00000000 00000000  1000        0 99 1 0 100 0 0 10 0\n"
)
_UNIX = b"Num\n0000: 00000002 00000000 00010000 0001 01 5371497 /run/x.sock\n0: 3 0 0 1 03 5371498 /run/x.sock\n"
_STAT = b"4711 (java) S 700 4711 4711 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 8812345 43060 3420 18446744073709551615"
_CGROUPS = (
    b"0::/system.slice/ibgateway.service\n",
    b"12:pids:/x\n1:name=systemd:/user.slice/user-1000.slice/user@1000.service/app.slice/ib@live.service/x\n",
    b"0::/system.slice/docker-0123456789abcdef.scope/system.slice/ibgateway.service\n",
)
_STATUS = b"Name:\tjava\nUmask:\t0022\nState:\tS (sleeping)\nUid:\t1000\t1000\t1000\t1000\nThreads:\t40\n"


def unix_table(data: bytes) -> None:
    """The sockets that have a path."""
    relays.parse(text(data))


KERNEL = (
    Parser(
        "netlink",
        (netlink,),
        (message(18, _ROW) + message(18, _LISTENER) + message(3, bytes(4)), message(2, b"\xff\xff\xff\xff")),
        (OSError,),
        most=1 << 15,
    ),
    Parser("proc_net", (proc_net_lines,), (_TCP,), most=1 << 18),
    Parser("net_unix", (unix_table,), (_UNIX,)),
    Parser("stat", (processes.parse_stat,), (_STAT, b"1 (x) S 2 (" + _STAT), (ValueError,)),
    Parser("status", (processes.parse_real_uid,), (_STATUS,), (ValueError,)),
    Parser(
        "cgroup",
        (groups,),
        _CGROUPS,
        endless=tuple(
            repeated(each, b"0::") for each in (b"/user@", b"/user@1.service", b"/a.slice", b"/system.slice", b"/")
        ),
    ),
)

# --- command lines and scripts ---------------------------------------------------------------------------------------


def recognition(data: bytes) -> None:
    """Everything that is asked of a process's command line."""
    classify.may_be_gateway(data)
    argv = processes.parse_cmdline(data)
    for exe in (None, "/usr/lib/jvm/zulu17/bin/java"):
        java_line.java_line(argv, exe)
        classify.gateway_kind(argv, exe)
        launchers.role_of(argv, exe)
        installation.installation_folder(argv, exe, "/home/trader")
    command_line.run_of(argv)
    command_line.script_of(argv)
    classify.relay_name(argv)
    classify.is_launcher(argv)
    classify.matches_client(re.compile("bot"), argv)


def redacted(data: bytes) -> None:
    """A command line as it is shown: word for word, in one line each, and shown again nothing more of it is."""
    argv = processes.parse_cmdline(data)
    shown = redaction.redact_argv(argv)
    assert len(shown) == len(argv)
    assert not any(re.search(redaction.CONTROL, each) for each in shown)
    again = redaction.redact_argv(shown)
    assert all(one == other or redaction.HIDDEN in other for one, other in zip(shown, again)), (shown, again)
    short_command.short(shown)


def masked(data: bytes) -> None:
    """A stranger's text as it is shown."""
    told = plain_text.plain_text(text(data))
    assert len(told) <= 300 and not re.search(redaction.CONTROL, told)
    redaction.mask_text(text(data))
    plain_text.mask_account(text(data))


def shell_texts(data: bytes) -> None:
    """A script, as a file and as the word behind -c."""
    found = text(data)
    launchers.launcher_of(("bash", "-c", found))
    launchers.launcher_of(("bash", "/opt/" + found[:200], found))
    program.display_in(found)
    keepers.runs_gateway(found)
    ended_by_start.ended_by_start([("/bin/sh", "-c", found)], 0, [gateway()])
    for bash in (True, False):
        left = control_scripts.part_run(found, ["start"], sourced=lambda _line: found, bash=bash)
        assert len(left) == len(found) and left.count("\n") == found.count("\n")


def cron_tables(data: bytes) -> None:
    """A cron table, the system's or an account's, and what its lines run."""
    search = start_scripts.Search(spec(service=None), start_scripts.Account("nobody", 65534, "/nonexistent"), ())
    for line in (*crontab.parse_table(text(data), True), *crontab.parse_table(text(data), False)):
        assert line.times.isprintable()
        crontab.next_due(line.schedule, 1_790_000_000.0, 86400.0)
        redaction.redact_argv(search.command_in(line.command) or ())
    search.command_in(text(data))


def properties(data: bytes) -> None:
    """The settings files of IBC and of install4j, and what systemctl shows."""
    found = text(data)
    installation.parse_ibc_ini(found)
    installation.config_dir_in(found)
    installation.parse_response_varfile(found)
    systemctl._properties(found)


def one_container(data: bytes) -> None:
    """What an engine says of a container, whose labels and name its image and its maker have written."""
    engine.parse("podman", "ib", None, text(data))


def of_service(data: bytes) -> None:
    """What it says of the containers of a compose service."""
    engine.only_one("docker", "of compose service live", text(data))


_ENGINES = tuple(json.dumps([{**each, "Name": "/ib"}]).encode() for each in (PODMAN, DOCKER))


def words(*argv: str) -> bytes:
    """A command line as the kernel has it."""
    return b"".join(os.fsencode(each) + b"\0" for each in argv)


_ARGV = (
    words(*gateway().argv),
    words(*script().argv),
    words("/bin/bash", "/opt/ibc/scripts/ibcstart.sh", "1045", "--gateway", "--mode=live", "--user=me", "--pw=x y"),
    words("nice", "-n", "5", "env", "A=b", "/venv/bin/python3", "-X", "dev", "-u", "/srv/bot.py", "--port", "4001"),
    words("xvfb-run", "-a", "bash", "-c", "while :; do DISPLAY=:1 /opt/ibc/gatewaystart.sh -inline; sleep 5; done"),
    words("socat", "TCP-LISTEN:4003,fork", "TCP:127.0.0.1:4001"),
    words("java", "-cp", "/a.jar:/b/jts4launch.jar", "-DjtsConfigDir=/home/t/Jts", "ibcalpha.ibc.IbcGateway", "/x.ini"),
    words("curl", "-u", "me:pw", "https://me:pw@example.com/hook?token=abc", '{"password": "x"}', "DU1234567"),
    words("ssh", "-L", "4001:10.8.0.7:4001", "me@host"),
)
_TEXTS = (
    b"Order rejected for DU1234567, password=hunter2 token: abc https://me:pw@example.com/x Authorization: Bearer abc",
    b'user U7654321A,F123456 api_key=\'x y\' "secret": "z"',
)
_SCRIPTS = (
    b"pkill -9 -f 'Xvfb|ibcalpha.*Gateway' >/dev/null\nkill $(ps aux | grep [j]ava)\nkill `pidof java`\n",
    b"#!/bin/bash\nexport DISPLAY=:1\nwhile true; do\n  Xvfb :1 &\n  ./ibcstart.sh --gateway; sleep 2\ndone\n",
    b"#!/usr/bin/env python3\nimport subprocess\nsubprocess.run(['/opt/ibc/gatewaystart.sh', '-inline'])\n",
)
_TABLES = (
    b"MAILTO=x\n*/5 * * * * trader flock -n /tmp/l -c '/opt/ibc/gatewaystart.sh -inline' % in\n@hourly /home/t/x.sh\n",
    b"-0,30 8-17/2 1-15 jan-mar mon-fri cd /opt/ibc && ./ibcstart.sh 1045 -g\nCRON_TZ=UTC\n* * * * * bash -c 'x'\n",
)
_FILES = (
    b"# IBC\nIbLoginId=me\nIbPassword=x\\u0041\\\n  y\nTradingMode=live\nIbDir=/home/t/Jts\nFIX=no\n"
    b"CommandServerPort=7462\n",
    b"jtsConfigDir=/home/t/Jts\nsys.languageId$Integer=1\ncmdLineArgs=\n",
    b"ExecStart={ path=/opt/x ; argv[]=/opt/x -a }\nMainPID=12\nActiveState=active\n",
)
_LONG_ARGV = (
    *(repeated(words(each)) for each in ("tmux", "env", "A=b", "-cp", "java", "-e", "--", "-DjtsConfigDir=/x")),
    *(repeated(words(*each)) for each in (("nice", "-n", "5"), ("xterm", "-e", "bash", "-c"), ("screen", "sh", "-c"))),
    repeated(b"tmux 'bash -c ", words("bash", "-c")),
    repeated(b":/a/jts4launch.jar", words("java", "-cp") + b"/a"),
    repeated(b"-D", words("java")),
)
_LONG_TEXTS = (
    *(repeated(each) for each in (b"password", b"password=", b"://", b"x://y@", b"U1234", b"DU", b"@", b'"secret": ')),
    repeated(b"a", b"https://"),
)
COMMANDS = (
    Parser("recognition", (recognition,), _ARGV, most=1 << 18, endless=_LONG_ARGV),
    Parser("redaction", (redacted,), _ARGV, most=1 << 18, endless=_LONG_ARGV),
    Parser("texts", (masked,), _TEXTS, most=1 << 16, endless=_LONG_TEXTS),
    Parser(
        "scripts",
        (shell_texts,),
        _SCRIPTS,
        most=1 << 16,
        endless=tuple(
            repeated(each)
            for each in (
                *(b"while ", b"A=b ", b"tmux ", b"'", b"#", b"java ", b"subprocess ", b"$(", b"<<E\n", b"if x; then "),
                *(b"case $1 in a) ", b"f() { f; }; f\n", b". x\n", b"A=(", b"[ $1 ] && ", b"for a in x; do "),
            )
        ),
    ),
    Parser(
        "cron tables",
        (cron_tables,),
        _TABLES,
        most=1 << 16,
        endless=tuple(
            repeated(each) for each in (b"* * * * * x\n", b"*,", b"* ", b"su -c '", b"#\n", b"%", b"\\%", b"cd x;")
        ),
    ),
    Parser(
        "settings", (properties,), _FILES, most=1 << 16, endless=(repeated(b"\\"), repeated(b"\\\n"), repeated(b"a"))
    ),
)

# --- logs and the state of repairs -----------------------------------------------------------------------------------


def log_lines(data: bytes) -> None:
    """IBC's log out of a file, with its times."""
    descriptor = os.memfd_create("log")
    try:
        os.write(descriptor, data)
        source = ibc_log.Source(descriptor, "/var/log/ibc.txt", (1, 2), len(data), 1_790_000_000.0)
        lines, _whole = ibc_log._lines(source, ibc_log.MOST_BYTES)
        if lines:
            ibc_log._events(os.getpid(), lines, source)
    finally:
        os.close(descriptor)


def signed(line: bytes) -> bytes:
    """A journal's line with the checksum that it should have."""
    body = _RESIGNED.sub(b"}", line)
    return body[:-1] + b',"crc":"%08x"}' % (zlib.crc32(body) & 0xFFFFFFFF)


def journal_lines(data: bytes) -> None:
    """A line as it is, which its checksum mostly ends."""
    for line in data.split(b"\n"):
        records.parse_line(line)


def signed_lines(data: bytes) -> None:
    """A line whose writer knows how checksums are made."""
    for line in data.split(b"\n"):
        again = records.parse_line(records.format_line(records.parse_line(signed(line))))
        assert again.when


class _Memory:
    """A state folder that holds one journal."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, name: str, _most: int) -> bytes:
        """The journal."""
        assert name == journal.FILE
        return self._data

    def exists(self, _name: str) -> bool:
        """The marker stands."""
        return True

    def where(self, name: str) -> str:
        """As a person is told."""
        return "/var/lib/x/" + name


def whole_journal(data: bytes) -> None:
    """A journal whose lines are signed."""
    lines = [signed(line) if line else line for line in data.split(b"\n")]
    journal.read(_Memory(b"\n".join(lines)))  # type: ignore[arg-type]


_JOURNAL = b"".join(
    records.format_line(each)
    for each in (
        record(1, records.BEGIN, 300),
        record(2, records.INTENT, 290, action="restart_gateway", target={"pid": 4711, "command": ["java", "x"]}),
        record(3, records.OUTCOME, 280, result=records.DONE, intent=2, reason="ended after SIGTERM"),
        record(4, records.END, 270, result=records.FAILURE),
    )
)
_LINES = tuple(_JOURNAL.splitlines())
_LEASE = b'{"run": "r1", "by": "me", "since": "2026-11-22T18:00:00Z", "boot_id": "b", "boottime": 5.5, "seconds": 60}'
_PAUSE = b'{"reason": "upgrade", "until": "2026-11-22T18:00:00+01:00"}'
_SELF_HEAL = b'{"v": 1, "at": "2026-11-22T18:00:00Z", "every": 330, "result": "healthy"}'
_LOG = (
    b"2026-11-29 09:18:03:123 IBC: Starting session: will exit if login dialog is not displayed within 60 seconds\n"
    b"2026-11-29 09:18:09:001 IBC: Second Factor Authentication initiated\n"
    b"2026-11-29 09:18:41:500 IBC: Login has completed\nIBC returned exit status 0\nIBC will restart shortly\n",
    b'{"log":"2026-11-29 09:18:03:123 IBC: Login attempt: 1\\n","stream":"stdout","time":"2026-11-29T09:18:03Z"}\n',
    b"gateway-1  | 2026-11-29 09:18:03:123 IBC: Login error message: x\n",
)
REFUSALS = (ValueError,)
WRITTEN = (
    Parser(
        "ibc log",
        (over_text(ibc_words.line_of), log_lines),
        _LOG,
        most=1 << 18,
        endless=tuple(repeated(each) for each in (b"2026-11-29 09:18:03:123 IBC: ", b'{"log":', b" ", b"a |", b"\n")),
    ),
    Parser("container engine", (one_container, of_service), _ENGINES, (engine.EngineError,)),
    Parser("journal line", (journal_lines, signed_lines), _LINES, REFUSALS, most=records.LONGEST),
    Parser("journal", (whole_journal,), (_JOURNAL,), (journal.JournalUnusable,), most=1 << 18),
    Parser("self_heal", (self_heal_record,), (_SELF_HEAL,), REFUSALS, most=1 << 12),
    Parser("lease", (lease._parse,), (_LEASE,), REFUSALS, most=1 << 14),
    Parser("pause", (pause._parse,), (_PAUSE,), REFUSALS, most=1 << 14),
)

HOST_PARSERS: Tuple[Parser, ...] = (*PEER, *KERNEL, *COMMANDS, *WRITTEN)
