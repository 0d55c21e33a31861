"""How a SQL type is written in Python: one way going in, another coming out."""

from __future__ import annotations

from dataclasses import dataclass

from classbase.generator.catalogue import SqlType

_VALUES = "classbase.values"


@dataclass(frozen=True)
class Annotation:
    """A type as it stands in the code, with the names that must be imported as (module, name)."""

    text: str
    imports: frozenset[tuple[str, str]] = frozenset()

    def within(self, form: str, *imports: tuple[str, str]) -> Annotation:
        """The annotation put into another: `UUID` within `list[{}]`."""
        return Annotation(form.format(self.text), self.imports | set(imports))


def _plain(text: str) -> Annotation:
    return Annotation(text)


def _from(module: str, name: str) -> Annotation:
    return Annotation(name, frozenset({(module, name)}))


_JSON = _from(_VALUES, "Json")
_TEXT = _plain("str")

# By pg_type's name; what is not here is text, which every type can be written as.
_OUT: dict[str, Annotation] = {
    "boolean": _plain("bool"),
    "smallint": _plain("int"),
    "integer": _plain("int"),
    "bigint": _plain("int"),
    "oid": _plain("int"),
    "real": _plain("float"),
    "double precision": _plain("float"),
    "numeric": _from(_VALUES, "Number"),
    "uuid": _from("uuid", "UUID"),
    "date": _from(_VALUES, "Day"),
    "time without time zone": _from(_VALUES, "Clock"),
    "timestamp with time zone": _from(_VALUES, "Instant"),
    "timestamp without time zone": _from(_VALUES, "Timestamp"),
    "interval": _from(_VALUES, "Duration"),
    "bytea": _from(_VALUES, "Bytes"),
    "json": _JSON,
    "jsonb": _JSON,
    "record": _JSON,
    "tstzrange": _from(_VALUES, "InstantRange"),
    "tsrange": _from(_VALUES, "TimestampRange"),
    "daterange": _from(_VALUES, "DayRange"),
    "int4range": _from(_VALUES, "IntegerRange"),
    "int8range": _from(_VALUES, "IntegerRange"),
    "numrange": _from(_VALUES, "NumberRange"),
    "tstzmultirange": _from(_VALUES, "InstantMultirange"),
    "tsmultirange": _from(_VALUES, "TimestampMultirange"),
    "datemultirange": _from(_VALUES, "DayMultirange"),
    "int4multirange": _from(_VALUES, "IntegerMultirange"),
    "int8multirange": _from(_VALUES, "IntegerMultirange"),
    "nummultirange": _from(_VALUES, "NumberMultirange"),
}

_IN: dict[str, Annotation] = {
    "numeric": _from("decimal", "Decimal").within("{} | int"),
    "date": _from("datetime", "date"),
    "time without time zone": _from("datetime", "time"),
    "timestamp with time zone": _from("datetime", "datetime"),
    "timestamp without time zone": _from("datetime", "datetime"),
    "interval": _from("datetime", "timedelta"),
    "bytea": _plain("bytes"),
}


def answered(kind: SqlType) -> Annotation:
    """The type of a value that comes from the database (a null aside)."""
    if kind.kind == "d" and kind.base is not None:
        return answered(kind.base)
    if kind.is_array and kind.base is not None:
        return answered(kind.base).within("list[{}]")
    if kind.kind == "c":
        return Annotation(f"rows.{class_name(kind)}", frozenset({(".", "rows")}))
    return _OUT.get(kind.name, _TEXT)


def given(kind: SqlType) -> Annotation:
    """The type of a value that goes to the database."""
    if kind.kind == "d" and kind.base is not None:
        return given(kind.base)
    if kind.is_array and kind.base is not None:
        return given(kind.base).within("Sequence[{}]", ("collections.abc", "Sequence"))
    if kind.kind == "c":
        return answered(kind).within("{} | Mapping[str, Any]", ("collections.abc", "Mapping"), ("typing", "Any"))
    if kind.kind == "e":
        return _from("typing", "Literal").within(f"{{}}[{', '.join(map(repr, kind.labels))}]")
    if kind.kind in "rm" and kind.base is not None and kind.name in _OUT:
        generic = "Range" if kind.kind == "r" else "Multirange"
        bound = _IN.get(kind.base.name) or _OUT.get(kind.base.name, _TEXT)
        bound = _from("decimal", "Decimal") if kind.base.name == "numeric" else bound
        return bound.within(f"{generic}[{{}}]", (f"psycopg.types.{generic.lower()}", generic))
    return _IN.get(kind.name) or _OUT.get(kind.name, _TEXT)


def class_name(kind: SqlType) -> str:
    """The class of a composite type: `public.user_profiles` is `UserProfiles`."""
    return camel(kind.name.rpartition(".")[2].strip('"'))


def camel(name: str) -> str:
    """`find_conflicts` as `FindConflicts`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
