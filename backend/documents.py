"""Documents from outside: YAML both ways, and checked against a model with errors in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from backend.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def as_yaml(document: Any) -> str:
    """A document as YAML, its keys in their order."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    """The mapping in a YAML text. Raises ConfigError that names line and column, or what it is."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}" if mark else where
        raise ConfigError(
            f"not valid YAML ({getattr(error, 'problem', None) or 'unreadable'})",
            where=place,
            remedy="put the line right",
        ) from error
    # What YAML calls a date or a number need not be one; brackets may go deeper than Python does.
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"a value cannot be read ({str(error)[:100]})",
            where=where,
            remedy="put quotes around it if it is text",
        ) from error
    if not isinstance(document, dict):
        raise ConfigError(
            f"expected settings like 'task: name', found {type(document).__name__}",
            where=where,
            remedy="see README for an example configuration",
        )
    return document


def validate(model: type[Model], document: Any, where: str) -> Model:
    """``document`` as ``model``; ConfigError names the first faulty field and its value."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise _first_problem(error, where, model) from error


# How pydantic names the branches of a union, which no user has written.
_BRANCH = re.compile(r"function-|constrained-|literal\[|tuple\[|Schedule$|float$|int$|str$")


def _first_problem(error: ValidationError, where: str, model: type[BaseModel]) -> ConfigError:
    problems: dict[str, list[Any]] = {}
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"] if not _BRANCH.match(str(part)))
        problems.setdefault(name, []).append(problem)
    # Every branch of a union has its own complaint: one in our words knows best.
    field, of_field = next(iter(problems.items()))
    first = next((each for each in of_field if each["type"] == "value_error"), of_field[0])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        near = get_close_matches(field, _settings(model), n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        message = f'unknown setting "{field}"{more}{hint}'
        remedy = "correct its name or remove it"
    elif first["type"] == "missing":
        message, remedy = f'"{field}" is missing{more}', "add it"
    else:
        reason = first["msg"].removeprefix("Value error, ")
        message = f'"{field}" is {first["input"]!r}: {reason[0].lower()}{reason[1:]}{more}'
        remedy = "change the value"
    return ConfigError(message, where=where, remedy=remedy)


def _settings(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """The dotted names of what can be set."""
    for name, field in model.model_fields.items():
        yield above + (field.alias or name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _settings(inner, f"{above}{name}.")
