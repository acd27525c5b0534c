"""What a shape of this project is made of: named values that nobody changes, as a frozen dataclass has them.

On a host each shape is made anew at every call. A dataclass compiles its own methods for that, 1 to 2 ms, and a named
tuple its constructor, 0.2 ms; the methods here serve all shapes, and one costs hardly more than any other class. It is
no tuple either: JSON refuses it, so that what may hold secrets is not spelled out by mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, ClassVar, Dict, FrozenSet, Tuple, Type, TypeVar

_R = TypeVar("_R", bound="Record")

if TYPE_CHECKING:  # Python 3.11 has it; it tells type checkers what the constructors take
    from typing import dataclass_transform
else:

    def dataclass_transform(**_options: bool) -> Callable[[Type[_R]], Type[_R]]:
        """Nothing, when the program runs."""
        return lambda shape: shape


@dataclass_transform(frozen_default=True)
class Record:
    """A shape: its fields are the annotations of its class, in order; a value beside one is its default.

    Two records are equal where they are of one class and all their fields are equal. A field in _secret stays out of
    repr.
    """

    _fields: ClassVar[Tuple[str, ...]] = ()
    _names: ClassVar[FrozenSet[str]] = frozenset()
    _field_defaults: ClassVar[Dict[str, Any]] = {}
    _secret: ClassVar[Tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        """Notes what the fields of a new shape are."""
        cls._fields = tuple(cls.__annotations__)
        cls._names = frozenset(cls._fields)
        given = cls.__dict__
        cls._field_defaults = {name: given[name] for name in cls._fields if name in given}

    def __init__(self, *values: Any, **named: Any) -> None:
        """Takes the fields in their order or by name. Raises TypeError as every constructor does."""
        fields = self.__dict__
        fields.update(self._field_defaults)
        if values:
            first = dict(zip(self._fields, values))
            if len(values) > len(self._fields) or first.keys() & named.keys():
                raise TypeError("%s was given a field twice, or too many" % type(self).__name__)
            fields.update(first)
        fields.update(named)
        if fields.keys() != self._names:
            wrong = sorted(fields.keys() ^ self._names)
            raise TypeError("%s lacks these fields, or does not have them: %s" % (type(self).__name__, wrong))

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuses: nobody changes a record."""
        raise AttributeError("%s.%s cannot be changed" % (type(self).__name__, name))

    def __delattr__(self, name: str) -> None:
        """Refuses: nobody changes a record."""
        raise AttributeError("%s.%s cannot be removed" % (type(self).__name__, name))

    def __eq__(self, other: object) -> bool:
        """Whether the other is the same in all fields."""
        return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        """A hash over all fields; raises TypeError where one has none."""
        return hash(tuple([self.__dict__[name] for name in self._fields]))

    def __repr__(self) -> str:
        """The shape's name and its fields, without the secret ones."""
        shown = ["%s=%r" % (name, self.__dict__[name]) for name in self._fields if name not in self._secret]
        return "%s(%s)" % (type(self).__name__, ", ".join(shown))

    def _replace(self: _R, **changes: Any) -> _R:
        """The same with other values in some fields."""
        return type(self)(**{**self.__dict__, **changes})

    def _asdict(self) -> Dict[str, Any]:
        """The fields by name, in order."""
        return {name: self.__dict__[name] for name in self._fields}
