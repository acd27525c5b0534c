"""The table of UNIX sockets: who listens, and which sockets were accepted there."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

from ansible.module_utils.ib_gateway.observe import processes
from ansible.module_utils.ib_gateway.observe.relays import parse

TABLE = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 5371497 /run/gateway.sock
0000000000000000: 00000003 00000000 00000000 0001 03 5371498 /run/gateway.sock
0000000000000000: 00000003 00000000 00000000 0001 03 5371499
0000000000000000: 00000003 00000000 00000000 0001 03 5371500 @abstract name
"""


def test_who_listens_and_which_connections_were_accepted_stands_in_the_table() -> None:
    found = parse(TABLE)
    assert found.heard == {"/run/gateway.sock"}
    assert found.taken == {5371498: "/run/gateway.sock", 5371500: "@abstract name"}


def test_lines_that_are_none_are_left_out() -> None:
    strange = [
        "",
        "Num",
        "a b c",
        "0: 2 0 zz 1 1 7 /x",
        "0: 2 0 00010000 1 1 seven /x",
        "0: 2 0 0 1 1 %s /x" % ("9" * 5000),
        "\x00",
    ]
    for line in strange:
        assert parse("Num\n" + line) == parse(""), line


def test_the_table_of_a_host_with_many_unix_sockets_is_read_to_its_end() -> None:
    """The kernel hands it over a page at a time; a host has hundreds, and a tenth of these fill one page."""
    with ExitStack() as stack:
        held = {stack.enter_context(end).fileno() for _ in range(150) for end in socket.socketpair()}
        inodes = {os.fstat(number).st_ino for number in held}
        listed = {int(line.split()[6]) for line in processes.unix_table(os.getpid()).splitlines()[1:]}
    assert not inodes - listed
