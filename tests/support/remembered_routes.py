"""FastAPI reads the parameters of an endpoint once in a process, however many servers tests start in it.

Each start makes all routes anew, twice over; for each of their parameters and answers FastAPI evaluates an
annotation and has pydantic make a validator. That took two thirds of a start, and depends on nothing but what
stands in the code: what was made of it for one server is as good for the next. Defaults are not remembered,
for some are made along with the routes (`Depends(...)`) and would keep the platform behind them alive.
"""

from __future__ import annotations

from functools import cache
from inspect import Parameter, Signature
from types import FunctionType
from typing import TYPE_CHECKING, Any

from fastapi import routing
from fastapi.dependencies import utils
from fastapi.security.base import SecurityBase
from fastapi.utils import create_model_field

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from fastapi._compat import ModelField
    from fastapi.dependencies.utils import ParamDetails

_read_signature = utils.get_typed_signature
_read_parameter = utils.analyze_param

_signatures: dict[Hashable, tuple[dict[str, Any], tuple[Parameter, ...]]] = {}
"""By the code: its annotations, which stay so that their identities are nobody else's, and parameters."""
_evaluated: dict[int, Any] = {}
"""Every annotation of these, by its identity."""
_parameters: dict[Hashable, ParamDetails] = {}
_fields: dict[Hashable, ModelField] = {}


def remember_routes() -> None:
    """From now on, in this process."""
    utils.get_typed_signature = _signature_of
    utils.analyze_param = _parameter_of
    setattr(routing, "create_model_field", _field_of)  # noqa: B010 - imported there, not exported


def _signature_of(call: Callable[..., Any]) -> Signature:
    if isinstance(call, SecurityBase):
        return _signature_of_scheme(call)
    if not isinstance(call, FunctionType) or vars(call).keys() & {"__wrapped__", "__signature__"}:
        return _read_signature(call)
    key = (call.__code__, *map(id, call.__annotations__.values()))
    if key not in _signatures:
        read = _read_signature(call).parameters.values()
        parameters = tuple(one.replace(default=Parameter.empty) for one in read)
        _signatures[key] = call.__annotations__, parameters
        _evaluated.update((id(one.annotation), one.annotation) for one in parameters)
    defaults = _defaults_of(call)
    known = _signatures[key][1]
    return Signature(
        [one.replace(default=defaults[one.name]) if one.name in defaults else one for one in known]
    )


@cache
def _signature_of_scheme(scheme: Callable[..., Any]) -> Signature:
    """What a scheme of credentials asks of a request; there are three of them, made with their modules."""
    return _read_signature(scheme)


def _defaults_of(call: FunctionType) -> dict[str, Any]:
    code, positional = call.__code__, call.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(positional) : code.co_argcount]
    return {**dict(zip(names, positional, strict=True)), **(call.__kwdefaults__ or {})}


def _parameter_of(
    *,
    param_name: str,
    annotation: Any,  # noqa: ANN401 - whatever is written there
    value: Any,  # noqa: ANN401 - whatever is written there
    path_param_names: set[str],
) -> ParamDetails:
    def read() -> ParamDetails:
        return _read_parameter(
            param_name=param_name, annotation=annotation, value=value, path_param_names=path_param_names
        )

    is_plain = value is Parameter.empty or value is None or isinstance(value, bool | int | str)
    if id(annotation) not in _evaluated or not is_plain:
        return read()
    key: Hashable = (param_name, id(annotation), repr(value), frozenset(path_param_names))
    if key not in _parameters:
        _parameters[key] = read()
    return _parameters[key]


def _field_of(**named: Any) -> ModelField:  # noqa: ANN401 - FastAPI's own
    kind = named["type_"]
    if named.keys() != {"name", "type_", "mode"} or not isinstance(kind, type):
        return create_model_field(**named)
    key = (kind, *named.values())
    if key not in _fields:
        _fields[key] = create_model_field(**named)
    return _fields[key]
