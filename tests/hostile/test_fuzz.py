"""A short fuzz of every parser of strangers' bytes, and proof that it finds what it is for. `make fuzz` runs longer."""

from __future__ import annotations

import pytest

from hostile import fuzz
from hostile.controller_parsers import CONTROLLER_PARSERS
from hostile.fuzz import Parser
from hostile.host_parsers import HOST_PARSERS

PARSERS = (*HOST_PARSERS, *CONTROLLER_PARSERS)
SEED, INPUTS, ENDLESS, LARGEST = 1, 60, 3, 1 << 16
every_parser = pytest.mark.parametrize("parser", PARSERS, ids=lambda one: one.name)


@every_parser
def test_a_valid_sample_is_read_without_any_error(parser: Parser) -> None:
    for call in parser.calls:
        call(parser.samples[0])


@every_parser
def test_damaged_input_ends_as_documented(parser: Parser) -> None:
    tried, failures = fuzz.fuzz(parser, SEED, range(INPUTS))
    assert tried == INPUTS and not failures, "\n".join(map(str, failures))


@pytest.mark.parametrize("parser", [each for each in PARSERS if each.grows], ids=lambda one: one.name)
def test_four_times_the_input_is_not_much_more_than_four_times_the_work(parser: Parser) -> None:
    numbers = range(len(parser.endless) + ENDLESS)
    failures = [each for each in (fuzz.growth(parser, SEED, number, LARGEST) for number in numbers) if each]
    assert not failures, "\n".join(map(str, failures))


# --- the fuzzer itself -----------------------------------------------------------------------------------------------


def made_up(call: object, *errors: type[Exception], most: int = 1 << 13) -> Parser:
    """A parser for a test of the fuzzer."""
    return Parser("made up", (call,), (b"key=value\n", b"a(b)c"), errors, most=most)  # type: ignore[arg-type]


def test_an_error_that_is_not_documented_is_found_and_its_input_can_be_made_again() -> None:
    def fragile(data: bytes) -> int:
        return data.index(b"=") if b"key" in data else 0

    parser = made_up(fragile)
    failures = fuzz.fuzz(parser, 7, range(400))[1]
    assert failures and "ValueError" in failures[0].why
    first = failures[0]
    again = fuzz.fuzz(parser, 7, [first.number])[1]
    assert again == [first] and again[0].data == first.data
    assert fuzz.fuzz(made_up(fragile, ValueError), 7, range(400))[1] == []


def test_work_that_grows_with_the_square_is_found_and_work_in_one_pass_is_not() -> None:
    def square(data: bytes) -> None:
        for _each in data:
            data.count(b"\1" * 3)
            data.count(b"\2" * 3)

    def line(data: bytes) -> None:
        for _each in data * 20:
            pass

    assert "times less" in str(fuzz.growth(made_up(square, most=1 << 14), 1, 1))
    assert fuzz.growth(made_up(line, most=1 << 18), 1, 1) is None


def test_work_without_an_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(_data: bytes) -> None:
        while True:
            try:
                for _ in range(1000):
                    pass
            except Exception:  # noqa: S112 - what a parser may do
                continue

    monkeypatch.setattr(fuzz, "MOST_SECONDS", 0.05)
    assert "still at work" in fuzz.taken(made_up(stuck), b"x")
    assert "without an end" in str(fuzz.growth(made_up(stuck), 1, 1))


def test_the_same_seed_makes_the_same_inputs_within_the_parser_s_bound() -> None:
    parser = made_up(len, most=100)
    inputs = [fuzz.made(parser, 3, number) for number in range(200)]
    assert inputs == [fuzz.made(parser, 3, number) for number in range(200)]
    assert max(map(len, inputs)) <= 100 and len(set(inputs)) > 100


def test_it_stops_when_its_time_is_over() -> None:
    turns = iter([False, False, True])
    assert fuzz.fuzz(made_up(len), 1, range(1000), over=lambda: next(turns)) == (2, [])


def test_the_command_tells_what_failed_and_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_data: bytes) -> None:
        raise KeyError("x")

    monkeypatch.setattr("hostile.host_parsers.HOST_PARSERS", (made_up(broken),))
    assert fuzz.main(["--seed", "5", "--parser", "made up", "--number", "3"]) == 1
    told = capsys.readouterr().out
    assert "made up, seed 5, input 3" in told and "KeyError" in told
    assert fuzz.main(["--seed", "5", "--parser", "notebooks", "--minutes", "0.01"]) == 0
