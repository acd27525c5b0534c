"""Why a start_command cannot start a gateway: judged by account, program, folder and display, before anything ends."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from ansible.module_utils.ib_gateway.lifecycle import accounts, environment, places, program
from ansible.module_utils.ib_gateway.lifecycle.accounts import Account, account_of
from ansible.module_utils.ib_gateway.lifecycle.base import Asked, CannotStart, Patience, StartCheck
from ansible.module_utils.ib_gateway.lifecycle.command import CommandFacts, blocker
from ansible.module_utils.ib_gateway.lifecycle.lifecycles import lifecycle, start_checks
from ansible.module_utils.ib_gateway.lifecycle.program import BRINGS, NEEDS, UNKNOWN, Program
from unit.facts import gateway, process, spec

CANARY = "hunter2"
FINE = CommandFacts("trader", program=Program("/opt/start.sh"))


@pytest.fixture(autouse=True)
def state_dir(tmp_path: Path) -> Any:
    """Nothing is left anywhere else."""
    places.use(str(tmp_path / "state"))
    yield tmp_path / "state"
    places.use("")


def named(*command: str, **more: Any) -> Any:
    """An entry that is started by a command, as this test's own account."""
    own = account_of(None)
    assert own is not None
    return spec(**{"service": None, "user": own.name, "config_dir": None, "start_command": command, **more})


def script(folder: Path, text: str, mode: int = 0o755) -> str:
    path = folder / "start.sh"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def start_check(*command: str, **more: Any) -> StartCheck:
    return start_checks([Asked(named(*command, **more))])[0]


# --- the judgement ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (FINE._replace(account_exists=False), "no account trader to start it as: correct the entry's user"),
        (FINE._replace(may_become=False, run_as="ops"), "only root can start it as trader, and this run is as ops"),
        (
            FINE._replace(program=Program("/opt/x", "does not exist")),
            "start_command cannot be run: its program /opt/x does not exist",
        ),
        (FINE._replace(folder_obstacle="/srv/live is closed to account trader"), "/srv/live is closed"),
        (FINE._replace(program=Program("/opt/x", None, NEEDS)), "give DISPLAY in the entry's start_environment"),
        (
            FINE._replace(contradiction="trading_mode paper, the entry live"),
            "it says trading_mode paper, the entry live",
        ),
        (FINE._replace(ends_with_login=True), "it would end when trader logs out (KillUserProcesses=yes): loginctl"),
        (FINE._replace(lost="the next gateway would lack DISPLAY"), "the next gateway would lack DISPLAY"),
        (FINE._replace(no_scope="systemd does not answer"), "systemd does not answer"),
    ],
)
def test_a_start_that_must_fail_is_told_with_its_cure(found: CommandFacts, says: str) -> None:
    told = blocker(found)
    assert told is not None and says in told


@pytest.mark.parametrize(
    "found",
    [
        FINE,
        FINE._replace(program=Program("/opt/x", None, NEEDS), display_given=True),
        FINE._replace(program=Program("/opt/x", None, NEEDS), ran_without=True),
        FINE._replace(program=Program("/opt/x", None, BRINGS)),
        FINE._replace(program=Program("/opt/x", None, UNKNOWN)),
    ],
)
def test_nothing_speaks_against_any_other_command(found: CommandFacts) -> None:
    assert blocker(found) is None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-DjtsConfigDir={other}", "ibgateway.GWClient"], "config_dir {other}, the entry {own}"),
        (["-DjtsConfigDir=other", "ibgateway.GWClient"], "config_dir {own}/other, the entry {own}"),
        (["ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini", "PAPER"], "trading_mode paper, the entry live"),
        (["ibcalpha.ibc.IbcTws", "/opt/ibc/config.ini", "live"], "product tws, the entry gateway"),
        (["-DjtsConfigDir={own}", "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini", "live"], None),
        (["-DjtsConfigDir={link}", "ibgateway.GWClient"], None),
        (["-DjtsConfigDir=${{installer:jtsConfigDir}}", "ibgateway.GWClient"], None),
        (["ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini", "trader", "hunter2"], None),
    ],
)
def test_a_command_line_of_another_gateway_than_the_entry_s_is_told_before_anything_ends(
    tmp_path: Path, words: list[str], says: str | None
) -> None:
    """It would log in, and then be no entry's: the next run would start one more."""
    own, other, link = (tmp_path / name for name in ("live", "paper", "link"))
    own.mkdir()
    link.symlink_to(own)
    places_ = {"own": own, "other": other, "link": link}
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    command = [str(java), "-cp", "jars/*", *(word.format(**places_) for word in words)]
    told = start_check(
        *command, trading_mode="live", config_dir=str(own), start_environment=(("DISPLAY", ":1"),)
    ).blocker
    if says is None:
        assert told is None
    else:
        assert told is not None and says.format(**places_) in told and CANARY not in told


def test_a_script_that_starts_a_gateway_says_nothing_of_it(tmp_path: Path) -> None:
    path = script(tmp_path, "#!/bin/sh\nexport DISPLAY=:1\nexec java ibgateway.GWClient\n")
    assert start_check(path, "paper", config_dir=str(tmp_path)).blocker is None


def test_a_gateway_whose_folder_is_gone_is_not_ended_for_one_without_its_settings(tmp_path: Path) -> None:
    path, gone = script(tmp_path, "#!/bin/sh\nexec /bin/true\n"), str(tmp_path / "Jts")
    one = named(path, config_dir=gone)
    (found,) = start_checks([Asked(one, gateway(folder=gone))])
    assert found.blocker is not None and "config_dir %s does not exist" % gone in found.blocker
    in_its_own_root = gateway(folder=gone, folder_id=(8, 77))
    assert [each.blocker for each in start_checks([Asked(one, in_its_own_root), Asked(one)])] == [None, None]


# --- programs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "display"),
    [
        ("exec xterm -e gateway\n", NEEDS),
        ("# xvfb-run would be needed\nexec xterm -e gateway\n", NEEDS),
        ("exec java -cp jts.jar GWClient\n", UNKNOWN),
        ('[ -n "$DISPLAY" ] || exit 1\n', NEEDS),
        ('exec "${IBC_PATH}/scripts/displaybannerandlaunch.sh" &\n', NEEDS),
        ("export DISPLAY=:1\nexec java -cp jts.jar GWClient\n", BRINGS),
        ('export DISPLAY="${DISPLAY:-:1}"\nexec java GWClient\n', BRINGS),
        ("Xvfb :9 &\nexec java GWClient\n", BRINGS),
        ("vncserver :3\njava GWClient\n", BRINGS),
        (". /etc/default/ibgateway\nexec java GWClient\n", UNKNOWN),
        ("docker restart ibgateway # java\n", UNKNOWN),
        ("echo started\n", UNKNOWN),
    ],
)
def test_a_script_tells_whether_its_gateway_has_a_display(text: str, display: str) -> None:
    assert program.display_in(text) == display


def test_a_program_is_looked_at_as_its_account_would_run_it(tmp_path: Path) -> None:
    missing = str(tmp_path / "nothing")
    for command, says in (
        ([missing, CANARY], "%s does not exist" % missing),
        (["no-such-program-anywhere"], "is in none of the folders"),
        ([missing + " --pw=" + CANARY], "more than one word"),
        (["bash", missing, CANARY], "%s does not exist" % missing),
        (["env", "IB_PASSWORD=" + CANARY, missing], "%s does not exist" % missing),
        ([str(tmp_path)], "is not a program but a folder"),
        ([script(tmp_path, "#!/bin/sh\n", 0o644)], "may not be executed"),
    ):
        told = start_check(*command).blocker
        assert told is not None and says in told and CANARY not in told, command
    for text, says in (("#!/bin/sh\r\nexit\r\n", "Windows line ends"), ("#!/no/such/sh\n", "/no/such/sh, which does")):
        told = start_check(script(tmp_path, text)).blocker
        assert told is not None and says in told
    assert start_check(script(tmp_path, "#!/bin/sh\n")).blocker is None
    assert start_check("env", "DISPLAY=:1", script(tmp_path, "#!/bin/sh\nxterm -e gateway\n")).blocker is None
    assert start_check("xvfb-run-that-is-not-there").blocker is not None


def test_a_folder_on_the_way_closed_to_the_account_keeps_it_from_the_program(tmp_path: Path) -> None:
    """The mode bits count, not what root may do."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    path = script(closed, "#!/bin/sh\n")
    other = Account("other", os.geteuid() + 54321, 54321, frozenset((54321,)), "/", "/bin/sh")
    told = accounts.cannot_run(path, other)
    assert told is not None and "closed to account other" in told
    own = account_of(None)
    assert own is not None and accounts.cannot_run(path, own) is None


def test_a_gateway_without_any_display_is_not_started_and_one_that_is_given_its_display_is(tmp_path: Path) -> None:
    java = tmp_path / "jre" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.symlink_to("/bin/sleep")
    path = script(tmp_path, "#!/bin/sh\nexec %s GWClient\n" % java)
    for command in ([str(java), "GWClient"], [path], ["sh", path], ["sh", "-c", "exec %s GWClient" % java]):
        assert start_check(*command).blocker is None  # a link of that name may be anything
    java.unlink()
    java.write_bytes(b"\x7fELF\0")
    java.chmod(0o755)
    (tmp_path / "jre" / "lib").mkdir()
    (tmp_path / "jre" / "lib" / "libjli.so").touch()
    for command in ([str(java), "GWClient"], [path], ["sh", path], ["sh", "-c", "exec %s GWClient" % java]):
        told = start_check(*command).blocker
        assert told is not None and "HeadlessException" in told, command
        assert start_check(*command, start_environment=(("DISPLAY", ":1"),)).blocker is None


# --- the environment -------------------------------------------------------------------------------------------------


def test_an_ended_gateway_s_environment_is_what_the_next_one_gets(
    tmp_path: Path, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setenv("IB_PASSWORD", CANARY)
    with subprocess.Popen(["sleep", "60"]) as old:
        running = process(old.pid, "java")
        path = script(tmp_path, '#!/bin/sh\necho "$DISPLAY $IB_PASSWORD $EXTRA" > "$OUT"\n: xterm\nexec sleep 0.01\n')
        assert start_checks([Asked(named(path), running)])[0].blocker is None
        environment.keep("live", old.pid)
        old.kill()
    kept = state_dir / "environment" / "live.environment.json"
    assert kept.stat().st_mode & 0o777 == 0o600 and CANARY not in kept.read_text()
    out = tmp_path / "out"
    os.mkfifo(out)
    entry = named(path, start_environment=(("EXTRA", "more"), ("OUT", str(out))))
    with subprocess.Popen(["cat", str(out)], stdout=subprocess.PIPE, text=True) as reader:
        lifecycle(entry).start(Patience(5.0))
        assert reader.communicate(timeout=30)[0] == ":77  more\n"


@pytest.mark.parametrize("change", [{"boot_id": "another"}, {"uid": 1 << 30}, "not json", {"environment": 3}], ids=str)
def test_an_environment_of_another_boot_or_account_is_not_taken(change: Any, state_dir: Path) -> None:
    import json

    environment.keep("live", os.getpid())
    path = state_dir / "environment" / "live.environment.json"
    found = json.loads(path.read_text())
    assert environment.kept("live", os.geteuid()) is not None
    path.write_text(change if isinstance(change, str) else json.dumps({**found, **change}))
    assert environment.kept("live", os.geteuid()) is None


def test_a_folder_in_which_others_may_write_is_not_believed(state_dir: Path) -> None:
    environment.keep("live", os.getpid())
    (state_dir / "environment").chmod(0o777)
    assert environment.kept("live", os.geteuid()) is None


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The pid of a gateway that runs with a display that no entry names."""
    monkeypatch.setenv("DISPLAY", ":77")
    with subprocess.Popen(["sleep", "60"]) as old:
        yield old.pid
        old.kill()


def open_to_others(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o775)


#: Why nothing can be kept in a folder, and what is said of it.
_TROUBLES = [
    (open_to_others, "others than this run's account could put a file into {folder}: chown"),
    (lambda folder: (folder.parent.mkdir(), folder.symlink_to("/tmp")), "{folder} is no folder: move it away"),  # noqa: S108 - a link that is refused
    (lambda folder: (folder.parent.mkdir(), folder.touch()), "{folder} is no folder: move it away"),
    (lambda folder: folder.parent.touch(), "{folder.parent} is no folder: move it away"),
]


@pytest.mark.parametrize(("trouble", "says"), _TROUBLES, ids=["open", "link", "file", "no way"])
def test_a_gateway_whose_display_cannot_be_kept_is_told_before_it_is_ended_and_nothing_is_written(
    tmp_path: Path, state_dir: Path, running: int, trouble: Any, says: str
) -> None:
    folder = state_dir / "environment"
    trouble(folder)
    before = sorted(tmp_path.rglob("*"))
    path = script(tmp_path, "#!/bin/sh\nexec /bin/true\n")
    told = start_checks([Asked(named(path), process(running, "java"))])[0].blocker
    assert told is not None and "would lack DISPLAY, which only the running one has" in told
    assert says.format(folder=folder) in told and "or give DISPLAY in the entry's start_environment" in told
    with pytest.raises(environment.NotKept):
        environment.keep("live", running)
    assert sorted(set(tmp_path.rglob("*")) - {Path(path)}) == before


@pytest.mark.parametrize("field", ["f_bfree", "f_ffree"])
def test_a_file_system_without_room_is_told_before_anything_ends(
    tmp_path: Path, running: int, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    room = {"f_bfree": 9000, "f_bavail": 9000, "f_frsize": 4096, "f_blocks": 9000, "f_files": 9, "f_ffree": 9}
    gone = {"f_bfree": 0, "f_bavail": 0} if field == "f_bfree" else {field: 0}
    for left, says in ((room, None), ({**room, **gone}, "is full: make room there")):
        monkeypatch.setattr(os, "statvfs", lambda _path, left=left: type("Room", (), {**left, "f_flag": 0}))
        path = script(tmp_path, "#!/bin/sh\nexec /bin/true\n")
        told = start_checks([Asked(named(path), process(running, "java"))])[0].blocker
        assert told is None if says is None else told is not None and says in told, told


def test_what_something_else_gives_the_next_gateway_need_not_be_kept(
    tmp_path: Path, state_dir: Path, running: int
) -> None:
    open_to_others(state_dir / "environment")
    path, brings = script(tmp_path, "#!/bin/sh\nexec /bin/true\n"), tmp_path / "brings.sh"
    brings.write_text("#!/bin/sh\nexport DISPLAY=:1\nexec java GWClient\n")
    brings.chmod(0o755)
    for entry in (named(path, start_environment=(("DISPLAY", ":1"),)), named(str(brings))):
        assert "DISPLAY" not in lifecycle(entry).only_in(running)
    assert "DISPLAY" in lifecycle(named(path)).only_in(running)
    assert lifecycle(named(path)).only_in(1 << 29) == (), "nothing is known of a process that is not there"


def test_what_was_kept_before_stays_where_the_new_one_cannot_be_written(
    tmp_path: Path, state_dir: Path, running: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.keep("live", running)
    path = script(tmp_path, "#!/bin/sh\nexec /bin/true\n")
    assert lifecycle(named(path)).only_in(running) == (), "it is kept already"
    kept = state_dir / "environment" / "live.environment.json"
    before = kept.read_text()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(environment.NotKept, match="No space left on device"):
        environment.keep("live", running)
    assert kept.read_text() == before and os.listdir(kept.parent) == [kept.name]


def test_a_person_who_starts_it_by_hand_is_told_which_variables_it_needs_and_where_they_are_but_no_text(
    tmp_path: Path, state_dir: Path, running: int
) -> None:
    path = script(tmp_path, "#!/bin/sh\n")
    assert lifecycle(named(path)).by_hand() == path
    environment.keep("live", running)
    told = lifecycle(named(path, "one", start_environment=(("IB_PASSWORD", CANARY),))).by_hand()
    kept = state_dir / "environment" / "live.environment.json"
    assert told.startswith("env IB_PASSWORD=... DISPLAY=... ") and CANARY not in told and ":77" not in told
    assert "IB_PASSWORD from the entry's start_environment; DISPLAY" in told and f"from {kept})" in told
    given = lifecycle(named(path, start_environment=(("DISPLAY", ":9"),))).by_hand()
    assert given.count("DISPLAY=...") == 1 and f"DISPLAY from {kept}" not in given


# --- the start -------------------------------------------------------------------------------------------------------


def test_a_command_that_fails_at_once_names_the_file_with_what_it_said(tmp_path: Path, state_dir: Path) -> None:
    path = script(tmp_path, "#!/bin/sh\necho HeadlessException\nexit 3\n")
    with pytest.raises(CannotStart, match="status 3") as failed:
        lifecycle(named(path)).start(Patience(5.0))
    log = state_dir / "output" / "live.log"
    assert str(log) in str(failed.value) and log.read_text() == "HeadlessException\n"
    script(tmp_path, "#!/bin/sh\necho again\nexit 3\n")
    with pytest.raises(CannotStart):
        lifecycle(named(path)).start(Patience(5.0))
    assert (log.read_text(), Path(str(log) + ".1").read_text()) == ("again\n", "HeadlessException\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's runs write the output of other accounts")
def test_the_output_s_folder_lets_its_account_through_whatever_the_umask(tmp_path: Path, state_dir: Path) -> None:
    before = os.umask(0o077)
    try:
        with pytest.raises(CannotStart):
            lifecycle(named(script(tmp_path, "#!/bin/sh\nexit 3\n"))).start(Patience(5.0))
    finally:
        os.umask(before)
    assert (state_dir / "output").stat().st_mode & 0o777 == 0o755


def test_of_an_earlier_output_only_the_end_is_kept(tmp_path: Path, state_dir: Path) -> None:
    log = state_dir / "output" / "live.log"
    log.parent.mkdir(parents=True)
    log.write_text("x" * 1_000_000 + "the end\n")
    with pytest.raises(CannotStart):
        lifecycle(named(script(tmp_path, "#!/bin/sh\nexit 3\n"))).start(Patience(5.0))
    kept = Path(str(log) + ".1")
    assert kept.stat().st_size == 256 * 1024 and kept.read_text().endswith("the end\n")


def test_whom_a_start_command_would_end_is_looked_for_where_it_is_run(tmp_path: Path) -> None:
    (runs,) = start_check("/bin/sh", "start.sh", config_dir=str(tmp_path)).runs
    assert runs.folder == str(tmp_path)
    assert start_check("/bin/sh", "start.sh", user="nobody-of-this-host").runs == ()


def test_root_starts_nobody_s_gateway_as_root_because_its_entry_names_no_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    one = named("/bin/true", user=None)
    asked = Asked(one, gateway()._replace(user="nobody"))
    told = start_checks([asked])[0].blocker or ""
    assert "the one that runs is of account nobody: give the entry user: nobody" in told
    assert start_checks([Asked(one._replace(user="root"), asked.process)])[0].blocker is None
    assert start_checks([Asked(one, gateway()._replace(user="root"))])[0].blocker is None
    folder = one._replace(config_dir=str(tmp_path))
    nameless = 54321
    for uid, says in ((65534, "its config_dir is of account"), (nameless, "give the entry user, the account"), (0, "")):
        monkeypatch.setattr(os, "stat", owned_by(uid))
        found = start_checks([Asked(folder)])[0].blocker or ""
        assert start_check("/bin/su", "-", "trader", "-c", "true", user=None, config_dir=str(tmp_path)).blocker is None
        as_root = Asked(folder, gateway()._replace(user="root"))
        assert start_checks([as_root])[0].blocker is None, "it is started as it ran"
        run = ("/usr/bin/env", "systemd-run", "--uid=nobody", "true")
        assert "as root" not in (start_check(*run, user=None, config_dir=str(tmp_path)).blocker or "")
        handed = script(tmp_path, "#!/bin/sh\nexec sudo -u trader /opt/ibc/gatewaystart.sh\n")
        assert start_check(handed, user=None, config_dir=str(tmp_path)).blocker is None
        assert says in found and bool(found) is bool(says)
        with pytest.raises(CannotStart, match=says) if says else contextlib.nullcontext():
            lifecycle(folder).start(Patience(1.0))


def owned_by(uid: int) -> Callable[..., os.stat_result]:
    """os.stat, with another owner of what it finds."""
    real = os.stat

    def stat(path: Any, **more: Any) -> os.stat_result:
        found = list(real(path, **more))
        found[4] = uid
        return os.stat_result(found)

    return stat
