"""Expressions of billing rules: they equal Python's own fractions, and hostile ones are refused by name."""

from __future__ import annotations

import ast
import operator
import time
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bursar.pricing.rules.expression import TEXT_LIMIT, FaultyExpression, parse_expression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = {"pages": Fraction(7), "gpu_seconds": Fraction(13, 8), "rate": Fraction(1, 1000)}
NUMBERS = st.sampled_from(["0", "1", "2", "3", "10", "0.5", "0.001", "12.25", "1000000"])
FUNCTIONS: dict[str, Callable[[Iterator[Fraction]], Fraction]] = {"min": min, "max": max}
SIGNS: dict[type[ast.operator], Callable[[Fraction, Fraction], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: operator.mod,
    ast.Pow: lambda left, right: left**right,
}


def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sign = st.sampled_from([" + ", "-", "*", " / ", "//", "%"])
    return st.one_of(
        st.tuples(parts, sign, parts).map("".join),
        parts.map(lambda part: f"({part})"),
        parts.map(lambda part: f"-{part}"),
        st.tuples(parts, st.integers(0, 3)).map(lambda pair: f"({pair[0]}) ** {pair[1]}"),
        st.tuples(parts, parts).map(lambda pair: f"max({pair[0]}, {pair[1]})"),
        st.tuples(parts, parts).map(lambda pair: f"min({pair[0]}, {pair[1]})"),
        parts.map(lambda part: f"round({part}, 2)"),
    )


EXPRESSIONS = st.recursive(NUMBERS | st.sampled_from(sorted(NAMES)), joined, max_leaves=12)


def by_python(text: str, node: ast.expr) -> Fraction:
    """What Python's grammar and its fractions make of it."""
    match node:
        case ast.Constant():
            return Fraction(ast.get_source_segment(text, node) or "")
        case ast.Name(id=name):
            return NAMES[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -by_python(text, operand)
        case ast.BinOp(left=left, op=sign, right=right):
            return Fraction(SIGNS[type(sign)](by_python(text, left), by_python(text, right)))
        case ast.Call(func=ast.Name(id="round"), args=[value, places]):
            return Fraction(round(by_python(text, value), int(by_python(text, places))))
        case ast.Call(func=ast.Name(id=name), args=values):
            return FUNCTIONS[name](by_python(text, value) for value in values)
        case _:
            raise AssertionError(text)


@given(EXPRESSIONS)
def test_an_expression_is_what_python_makes_of_it(text: str) -> None:
    assume(len(text) <= TEXT_LIMIT)
    fault: str | None = None
    found: Fraction | None = None
    try:
        found = parse_expression(text).value(NAMES.__getitem__)
    except FaultyExpression as refused:
        fault = refused.code
    if fault in {"expression_too_deep", "expression_too_large"}:
        return
    try:
        expected = by_python(text, ast.parse(text, mode="eval").body)
    except ZeroDivisionError:
        assert fault == "division_by_zero"
    else:
        assert (found, fault) == (expected, None)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("9**9**9", "exponent_out_of_range"),
        ("9**-1", "exponent_out_of_range"),
        ("2**0.5", "exponent_out_of_range"),
        ("((((9**16)**16)**16)**16)**16", "expression_too_large"),
        ("__class__", "not_an_expression"),
        ("pages.__class__", "not_an_expression"),
        ("().__class__.__bases__[0]", "not_an_expression"),
        ("__import__('os').system('id')", "not_an_expression"),
        ("exec(pages)", "unknown_function"),
        ("pow(2, 3)", "unknown_function"),
        ("lambda: 1", "not_an_expression"),
        ("[pages for pages in pages]", "not_an_expression"),
        ("pages if pages else 1", "not_an_expression"),
        ("pages := 1", "not_an_expression"),
        ("'a' * 9", "not_an_expression"),
        ("1e400", "not_an_expression"),
        ("0x10", "not_an_expression"),
        ("(" * 10_000 + ")" * 10_000, "expression_too_long"),
        ("(" * 200 + "1" + ")" * 200, "expression_too_long"),
        ("(" * 90 + "1" + ")" * 90, "expression_too_deep"),
        ("-" * 190 + "1", "expression_too_deep"),
        ("1+" * 240 + "1", "expression_too_long"),
        ("1/0", "division_by_zero"),
        ("1 % (2 - 2)", "division_by_zero"),
        ("pages * (1 // 0)", "division_by_zero"),
        ("round(pages, 13.5)", "wrong_arguments"),
        ("round(1, 99)", "wrong_arguments"),
        ("ceil(1, 2)", "wrong_arguments"),
        ("max()", "not_an_expression"),
        ("max", "not_an_expression"),
        ("pages pages", "not_an_expression"),
        ("pages +", "not_an_expression"),
        ("", "not_an_expression"),
        ("  ", "not_an_expression"),
        ("\u0440ages", "not_an_expression"),
        ("pages\x00", "not_an_expression"),
    ],
)
def test_a_hostile_or_broken_expression_is_refused_by_name(text: str, code: str) -> None:
    began = time.process_time()
    with pytest.raises(FaultyExpression) as refused:
        parse_expression(text).value(lambda _: Fraction(3))
    assert refused.value.code == code
    assert time.process_time() - began < 0.5


def test_the_largest_expression_takes_little_time() -> None:
    text = "*".join(["p"] * 95) + "+rate"
    began = time.process_time()
    with pytest.raises(FaultyExpression, match="too many digits"):
        parse_expression(text).value(lambda _: Fraction(10**18 + 1, 10**6 + 3))
    assert time.process_time() - began < 0.1


def test_powers_and_signs_bind_as_in_python() -> None:
    def value(text: str) -> Fraction:
        return parse_expression(text).value(NAMES.__getitem__)

    assert value("2 ** 3 ** 2") == 512
    assert value("-2 ** 2") == -4
    assert value("2 * -3") == -6
    assert value("7 - 2 - 1") == 4
    assert value("8 / 4 / 2") == 1
    assert value("-7 // 2") == -4
    assert value("-7 % 3") == 2
    assert value("round(2.5) + round(3.5)") == 6
    assert parse_expression("max(pages * rate, 1)").names == {"pages", "rate"}
