"""No password is ever shown, wherever a launcher puts it; account numbers keep only their ends."""

from __future__ import annotations

from typing import List, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.plain_text import mask_account, plain_text
from ansible.module_utils.ib_gateway.base.redaction import HIDDEN, mask_text, redact_argv
from ansible.module_utils.ib_gateway.base.short_command import short
from hypothesis import given, settings
from hypothesis import strategies as st

SECRET = "hunter2!"  # noqa: S105 - a stand-in, no secret
TWO = (HIDDEN, HIDDEN)
IBC = ("java", "-Xmx768m", "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini")


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ((*IBC, "trader", SECRET, "live"), (*IBC, HIDDEN, HIDDEN, "live")),
        ((*IBC, "trader", SECRET, "fixtrader", "fixword", "paper"), (*IBC, *[HIDDEN] * 4, "paper")),
        (("java", "install4j.ibgateway.GWClient", "trader", SECRET), ("java", "install4j.ibgateway.GWClient", *TWO)),
        (("ibcstart.sh", "1019", "--pw=" + SECRET), ("ibcstart.sh", HIDDEN, "--pw=" + HIDDEN)),
        (("ibcstart.sh", "--user=trader"), ("ibcstart.sh", "--user=" + HIDDEN)),
        (("ibcstart.sh", "--fix-pw=x", "--fix-user=y"), ("ibcstart.sh", "--fix-pw=" + HIDDEN, "--fix-user=" + HIDDEN)),
        (("start", "--password", SECRET, "live"), ("start", "--password", HIDDEN, "live")),
        (("start", "-pw", SECRET), ("start", "-pw", HIDDEN)),
        (("java", "-DIbPassword=" + SECRET), ("java", "-DIbPassword=" + HIDDEN)),
        (("java", "-DIbLoginId=trader"), ("java", "-DIbLoginId=" + HIDDEN)),
        (("java", "-DFIXPassword=a=b"), ("java", "-DFIXPassword=" + HIDDEN)),
        (("env", "TWS_PASSWORD=" + SECRET, "start"), ("env", HIDDEN, HIDDEN)),
        (("sh", "-c", "start --pw=hunter2 live"), ("sh", "-c", HIDDEN)),
        (("sh", "-c", "cd /opt; IBPASSWORD=hunter2 start"), ("sh", "-c", HIDDEN)),
        (("curl", "http://bob:pw@127.0.0.1:7462/"), ("curl", HIDDEN)),
        (("python3", "bot.py", "--account=DU1234567"), ("python3", "bot.py", "--account=" + HIDDEN)),
    ],
)
def test_a_secret_is_hidden_and_the_rest_is_shown(argv: Tuple[str, ...], shown: Tuple[str, ...]) -> None:
    assert redact_argv(argv) == shown


@pytest.mark.parametrize(
    "argv",
    [
        ("java", "-DjtsConfigDir=/srv/live", "-Xmx768m", "install4j.ibgateway.GWClient"),
        (*IBC, "live"),
        (*IBC, "--mode=paper"),
        ("python3", "-u", "cleanup_positions.py", "--port=4001", "--client-id=7"),
        ("sudo", "/venv/bin/python", "-u", "/srv/bot.py", "--mode=paper", "--timeout", "30"),
    ],
)
def test_what_holds_no_secret_is_shown_as_it_is(argv: Tuple[str, ...]) -> None:
    assert redact_argv(argv) == argv


@pytest.mark.parametrize(
    "word", ["--ib-gateway-password=", "--tws-login-password=", "-Dib-gateway.api-password=", "--api-client-secret="]
)
def test_an_option_with_several_dashes_is_still_named_like_a_secret(word: str) -> None:
    assert SECRET not in " ".join(redact_argv(("start", word + SECRET)))


@pytest.mark.parametrize(
    "line",
    [
        "start --password " + SECRET,
        "start --pw='two " + SECRET + "'",
        'start --pw="two ' + SECRET + '"',
        "exec java ibcalpha.ibc.IbcGateway /opt/ibc/config.ini trader " + SECRET + " live",
    ],
)
def test_a_shell_line_gives_no_secret_away(line: str) -> None:
    assert SECRET not in " ".join(redact_argv(("sh", "-c", line)))


@pytest.mark.parametrize("word", ["http://127.0.0.1/?token=", "--data=user=bob&password="])
def test_a_secret_named_in_the_middle_of_a_word_is_hidden(word: str) -> None:
    assert SECRET not in " ".join(redact_argv(("curl", word + SECRET)))


# --- properties ------------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=()), min_size=1, max_size=30)
#: Around any secret, so that finding it cannot be an accident and it is no word that IBC takes in the clear.
MARK = "\u00a7Zq7"
ANY_SECRET = TEXT.map(lambda text: MARK + text + MARK)
#: What may stand where a blank or a URL's own sign would end it.
UNBROKEN = st.text(
    st.characters(codec="ascii", categories=("L", "N"), include_characters="!$%^*()+,;~=-_."), min_size=1
)
UNBROKEN_SECRET = UNBROKEN.map(lambda text: MARK + text + MARK)
FEW = settings(max_examples=30, deadline=None)  # each of them once for every place
BEFORE = st.lists(st.sampled_from(["-Xmx768m", "/opt/start", "live", "-c", "--verbose"]), max_size=3)


@FEW
@given(secret=ANY_SECRET, before=BEFORE, after=BEFORE)
@pytest.mark.parametrize(
    "option",
    ["--pw=", "--user=", "--fix-pw=", "-DIbPassword=", "-Dib.password=", "IBPASSWORD=", "--api-key=", "token="],
)
def test_no_secret_after_an_equals_sign_is_shown(option: str, secret: str, before: List[str], after: List[str]) -> None:
    check_hidden(secret, [*before, option + secret, *after])


@FEW
@given(secret=ANY_SECRET, after=BEFORE)
@pytest.mark.parametrize("option", ["--password", "--pw", "-pw", "--user", "--passphrase", "--secret"])
def test_no_secret_in_the_word_after_its_option_is_shown(option: str, secret: str, after: List[str]) -> None:
    check_hidden(secret, ["start", option, secret, *after])


@FEW
@given(secret=ANY_SECRET, other=ANY_SECRET, mode=st.sampled_from([[], ["live"], ["paper"]]))
@pytest.mark.parametrize("main_class", ["ibcalpha.ibc.IbcGateway", "ibcalpha.ibc.IbcTws", "ibcontroller.IBController"])
def test_no_secret_that_ibc_takes_by_position_is_shown(
    main_class: str, secret: str, other: str, mode: List[str]
) -> None:
    argv = ["java", main_class, "/opt/ibc/config.ini", other, secret, *mode]
    check_hidden(secret, argv)
    check_hidden(other, argv)


@FEW
@given(secret=UNBROKEN_SECRET)
@pytest.mark.parametrize("line", ["start --pw=%s live", "env PASSWORD=%s start", "start password: %s", "a\tpw = %s"])
def test_no_secret_inside_a_shell_line_is_shown(line: str, secret: str) -> None:
    check_hidden(secret, ["sh", "-c", line % secret])


@FEW
@given(secret=UNBROKEN_SECRET)
@pytest.mark.parametrize("url", ["http://%s@host/", "ftp://bob:%s@host:21/x", "see https://bob:%s@host/ now"])
def test_no_secret_in_a_url_is_shown(url: str, secret: str) -> None:
    assert secret not in "".join(redact_argv([url % secret]))
    assert secret not in mask_text(url % secret)


CANARY = "qzxcanary7"
#: How a secret is spelled: glued, by option, in JSON, in an address, in a header, in an assignment.
_SPELLED = """% --token=% --% -% -p% -D% -Dtoken=% -XX:% --pin=% --unknown=% --host=% --port=% --mode=% X=% %=x
    user:%@host https://%/hook https://u:%@host/ {"k":"%"} Authorization:Bearer=% @% /srv/%=x -u% -VjtsConfigDir=% -X%
    ${%} --client-id=% --timeout=% --%=1 %.ini? -cp=% --add-opens=% -splash:% 1,% -javaagent:/a.jar=% +% +o%"""
SPELLINGS = st.sampled_from(_SPELLED.split())
_PROGRAMS = (
    ("python3", "bot.py"),
    ("python3", "-u", "-B", "/srv/bot.py"),
    ("python3", "-m", "bots.live"),
    ("sudo", "-u", "trader", "python3", "bot.py"),
    ("uv", "run", "bot.py"),
    ("bash", "/opt/ibc/scripts/ibcstart.sh"),
    ("sh", "-c"),
    ("curl",),
    ("java", "-Xmx1g", "ibcalpha.ibc.IbcGateway", "/opt/ibc/config.ini"),
    ("java", "install4j.ibgateway.GWClient"),
    ("java", "-jar", "/opt/x.jar"),
    ("node", "bot.js"),
    ("socat",),
)
HEADS = st.sampled_from(_PROGRAMS)
_BESIDE = "--password --pw -u --host --port --client-id -H -p --pin live -- -Dx=y --header word 7"
OTHERS = st.sampled_from(_BESIDE.split())


@settings(max_examples=200, deadline=None)
@given(HEADS, st.lists(OTHERS, max_size=3), SPELLINGS, st.lists(OTHERS, max_size=3))
def test_no_secret_comes_out_after_the_script_however_it_is_spelled(
    head: Tuple[str, ...], before: List[str], spelling: str, after: List[str]
) -> None:
    argv = [*head, *before, spelling.replace("%", CANARY), *after]
    shown = redact_argv(argv)
    assert CANARY not in " ".join(shown)
    assert redact_argv(shown) == shown
    assert shown[len(head) - 1] == head[-1] or head[-1].startswith("-")


def test_no_secret_comes_out_in_any_place_beside_any_option() -> None:
    for head in _PROGRAMS:
        for beside in _BESIDE.split():
            for spelling in _SPELLED.split():
                argv = [*head, beside, spelling.replace("%", CANARY)]
                assert CANARY not in " ".join(redact_argv(argv)), argv


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["sudo", "xvfb-run", "node", "python3", "bash", "uv run", "timeout 5", "env", "strace", "ssh"]),
    st.sampled_from(["--some-option %", "--token=%", "TOKEN=%", "-x%", "--header % -y", "--%"]),
    st.sampled_from(["python3 bot.py", "bot.py", "-c pass"]),
)
def test_no_secret_of_a_wrapper_or_interpreter_is_taken_for_its_script(wrapper: str, option: str, rest: str) -> None:
    argv = [*wrapper.split(), *option.replace("%", CANARY).split(), *rest.split()]
    assert CANARY not in " ".join(redact_argv(argv))


def check_hidden(secret: str, argv: List[str]) -> None:
    shown = redact_argv(argv)
    assert len(shown) == len(argv)
    assert MARK not in "".join(shown)
    assert secret not in "".join(shown)


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), max_size=8))
def test_any_command_line_can_be_redacted(argv: List[str]) -> None:
    shown = redact_argv(argv)
    assert len(shown) == len(argv)
    assert all(ord(letter) >= 32 for word in shown for letter in word)


@settings(deadline=None)
@given(st.text(max_size=400))
def test_any_text_becomes_one_plain_line(text: str) -> None:
    assert len(plain_text(text)) <= 300
    assert len(plain_text(text).splitlines()) <= 1


def test_a_long_word_is_cut() -> None:
    assert redact_argv(["a" * 5000]) == ("a" * 4096,)


def test_hostile_text_costs_no_time() -> None:
    for text in ("pw" * 50_000, "pw=" * 50_000, "://" * 50_000, "-D" * 50_000, "password " * 20_000, "a_" * 50_000):
        redact_argv([text, "x " + text])


# --- accounts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "masked"),
    [
        ("DU1234567", "DU*****67"),
        ("DF1234567", "DF*****67"),
        ("DI123456", "DI****56"),
        ("DUC123456", "DUC****56"),
        ("U1234567", "U*****67"),
        ("F123456", "F****56"),
        ("I1234567", "I*****67"),
        ("All", "All"),
        ("", ""),
        ("U12", "U12"),
        ("DU1234567,U7654321", "DU1234567,U7654321"),
    ],
)
def test_an_account_keeps_its_letters_and_its_last_two_digits(account: str, masked: str) -> None:
    assert mask_account(account) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("accounts DU1234567,U7654321.", "accounts DU*****67,U*****21."),
        ("/srv/desk_U1234567/log", "/srv/desk_U*****67/log"),
        ("--account=F1234567", "--account=F*****67"),
        ("SKU1234567", "SKU1234567"),
        ("4711U1234567", "4711U1234567"),
        ("U12345678901", "U*********01"),
        ("du1234567 u7654321", "du*****67 u*****21"),
        ("F1234567A,du1234567,u7654321", "F*****67A,du*****67,u*****21"),
        ("3da343b f12345ab", "3da343b f12345ab"),
        ("GPU4001", "GPU4001"),
    ],
)
def test_accounts_are_masked_wherever_they_stand(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@settings(deadline=None)
@given(st.sampled_from(["DU", "DF", "DI", "U", "F", "I"]), st.integers(10_000, 999_999_999))
def test_masking_an_account_keeps_its_length_and_hides_its_number(letters: str, number: int) -> None:
    account = "%s%d" % (letters, number)
    masked = mask_account(account)
    assert len(masked) == len(account)
    assert masked.startswith(letters) and masked.endswith(str(number)[-2:])
    assert str(number) not in masked
    assert account not in mask_text("before %s after" % account)


@settings(deadline=None)
@given(st.text(max_size=200).filter(lambda text: "://" not in text))
def test_masking_keeps_the_length_of_any_text(text: str) -> None:
    assert len(mask_text(text)) == len(text)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_masking_twice_is_masking_once(text: str) -> None:
    assert mask_text(mask_text(text)) == mask_text(text)


def test_a_long_command_is_cut_to_a_line() -> None:
    assert short(["python3", "bot.py"]) == "python3 bot.py"
    assert short(["x" * 200]) == "x" * 97 + "..."
    assert short(["bot.py", "--host=127.0.0.1", "--library=ib_insync"], 36) == "bot.py --host=127.0.0.1 ..."
    assert len(short(["x"] * 4711, 40)) in (39, 40)
