"""What a transport has to know of a database function; the generated modules are made of these."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from classbase.errors import FieldError, InternalError, InvalidInput
from classbase.models import UNSET
from classbase.values import plain

Answer = TypeVar("Answer")
Shape = Literal["rows", "row", "values", "value", "nothing"]

# Types whose datetimes are wall-clock time.
_LOCAL = re.compile(r"timestamp(\(\d\))? without time zone|tsrange|tsmultirange")

IDEMPOTENCY_KEY = "p_idempotency_key"


@dataclass(frozen=True)
class Function(Generic[Answer]):
    """A function of the schema `public`, with what it takes and answers.

    Attributes:
        name: its name in the database.
        parameters: the SQL type of every parameter, by its name in the database.
        shape: "rows" and "row" are records, "values" and "value" bare values, "nothing" is void.
        answer: the Python type of the whole answer, as pydantic understands it.
        read_only: whether it is stable or immutable, so that calling it twice changes nothing.
    """

    name: str
    parameters: Mapping[str, str]
    shape: Shape
    answer: Any
    read_only: bool = False

    @property
    def takes_key(self) -> bool:
        """Whether a repeated call can be told from a new one."""
        return IDEMPOTENCY_KEY in self.parameters

    @cached_property
    def _adapter(self) -> TypeAdapter[Answer]:
        return TypeAdapter(self.answer)

    def encode(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that were given, ready for JSON.

        Raises:
            InvalidInput: a datetime without a time zone; every such argument is listed.
            TypeError: a value no parameter can take.
        """
        given, errors = {}, []
        for name, value in arguments.items():
            if value is UNSET:
                continue
            try:
                given[name] = plain(value, naive=_LOCAL.match(self.parameters[name]) is not None)
            except ValueError as error:
                errors.append(FieldError(name, str(error)))
            except TypeError as error:
                raise TypeError(f"{self.name}: {name}: {error}") from error
        if errors:
            raise InvalidInput("; ".join(e.message for e in errors), field=errors[0].field, errors=errors)
        return given

    def decode(self, answer: Any) -> Answer:
        """The answer, typed.

        Raises:
            InternalError: the answer is not what the catalogue promised when this client was generated.
        """
        if self.shape == "row" and isinstance(answer, dict) and all(value is None for value in answer.values()):
            answer = None  # a function that returns no row answers, over REST, a row of nulls
        try:
            return self._adapter.validate_python(answer)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise InternalError(
                f"{self.name} answered what this client cannot read: {place}: {first['msg']}",
                context={"function": self.name, "place": place},
                hint="Is the client of the same release as the database?",
            ) from error
