"""The shapes of this project: immutable, compared by their fields, refused by JSON, silent about secrets."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any, Optional, Tuple

import pytest
from ansible.module_utils.ib_gateway.base.record import Record


class Place(Record):
    """A shape with all kinds of fields."""

    _secret = ("key",)

    street: str
    number: int = 1
    key: Optional[str] = None
    doors: Tuple[str, ...] = ()


class Other(Record):
    """The same fields under another name."""

    street: str
    number: int = 1
    key: Optional[str] = None
    doors: Tuple[str, ...] = ()


HERE = Place("Main", 2, doors=("front",))


def test_fields_are_given_in_their_order_or_by_name_and_have_defaults() -> None:
    assert (HERE.street, HERE.number, HERE.key, HERE.doors) == ("Main", 2, None, ("front",))
    assert Place._fields == ("street", "number", "key", "doors")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((), {}),
        ((), {"number": 2}),
        (("Main",), {"street": "Side"}),
        (("Main",), {"floor": 3}),
        ((), {"floor": 3}),
        (("Main", 1, None, (), "more"), {}),
    ],
)
def test_what_lacks_a_field_or_has_one_too_many_is_refused(values: Any, named: Any) -> None:
    with pytest.raises(TypeError, match="Place"):
        Place(*values, **named)


def test_nobody_changes_a_record() -> None:
    with pytest.raises(AttributeError):
        HERE.number = 3  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del HERE.number
    with pytest.raises(AttributeError):
        HERE.floor = 3
    assert HERE.number == 2


def test_records_of_one_shape_with_the_same_fields_are_equal_and_no_others() -> None:
    same = Place(number=2, doors=("front",), street="Main")
    assert same == HERE and hash(same) == hash(HERE) and {same, HERE} == {HERE}
    assert HERE._replace(number=3) != HERE
    assert Place("Main") != Other("Main")
    assert HERE != ("Main", 2, None, ("front",))


def test_a_record_is_replaced_copied_and_pickled_whole() -> None:
    assert HERE._replace(number=3) == Place("Main", 3, None, ("front",))
    with pytest.raises(TypeError, match="floor"):
        HERE._replace(floor=3)
    assert pickle.loads(pickle.dumps(HERE)) == copy.deepcopy(HERE) == HERE  # noqa: S301 - its own
    assert HERE._asdict() == {"street": "Main", "number": 2, "key": None, "doors": ("front",)}


def test_a_secret_field_is_not_shown_and_no_field_becomes_json_by_mistake() -> None:
    secret = HERE._replace(key="hush")
    assert repr(secret) == "Place(street='Main', number=2, doors=('front',))"
    with pytest.raises(TypeError):
        json.dumps({"place": secret})
