"""Ansible's counts of a run, host by host, in the words that programs which read them look for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .layout import Line

#: So many hosts are listed each; of more, those that nothing happened on are only counted.
_EACH = 25
_ALWAYS = ("ok", "changed", "unreachable", "failed")
_SOME = ("skipped", "rescued", "ignored")


def lines(counts: Mapping[str, Mapping[str, int]]) -> Iterator[Line]:
    """The recap. counts: by host, as Ansible's statistics have them. Nothing of a run without a host."""
    if not counts:
        return
    yield Line("")
    yield Line("PLAY RECAP", tone="title")
    rows = {host: {**counts[host], "failed": counts[host]["failures"]} for host in sorted(counts)}
    quiet = [host for host, row in rows.items() if not row["changed"] + row["unreachable"] + row["failed"]]
    left_out = set(quiet) if len(rows) > _EACH else set()
    for host, row in rows.items():
        if host not in left_out:
            told = ["%s=%d" % (key, row[key]) for key in (*_ALWAYS, *_SOME) if row[key] or key in _ALWAYS]
            yield Line("%s : %s" % (host, " ".join(told)), 1, whole=True)
    if left_out:
        yield Line("%d more hosts: changed=0 unreachable=0 failed=0" % len(left_out), 1)
