"""Small wrong changes of a module's source: what its tests must notice. Pure: source in, changed trees out.

compare     < and <=, > and >=, == and !=, is and is not, in and not in change places
logic       and for or, or for and; a condition turned round; a not left out
arithmetic  + for -, * for //, | for &, << for >>, and back; so in += and its like
constant    a whole number plus one, True for False, and back
return      None instead of a value
statement   a call, an assignment to an attribute or an item, a raise left out; break for continue, and back

Left alone is what no test should hold: texts, docstrings, annotations, logging, `__slots__`, `__all__`, decorators,
keywords of classes.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

PAIRS: tuple[tuple[type[ast.AST], type[ast.AST]], ...] = (
    (ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot), (ast.In, ast.NotIn),
    (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.FloorDiv), (ast.BitOr, ast.BitAnd), (ast.LShift, ast.RShift),
    (ast.Break, ast.Continue),
)  # fmt: skip
SWAPS = {
    **dict(PAIRS),
    **{right: left for left, right in PAIRS},
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DECLARED = frozenset(("annotation", "returns", "decorator_list", "type_params"))


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong change.

    Attributes:
        line: where.
        what: was changed, and into what.
        tree: the whole module with it.
        within: the first and last line of the function that has it; None: it is run when the module is imported.
    """

    line: int
    what: str
    tree: ast.Module
    within: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Place:
    """A node that may be changed: its number in the order of walking, and the name of the change."""

    number: int
    change: str
    within: tuple[int, int] | None


def mutants(source: str) -> list[Mutant]:
    """All of a module's, in the order of its lines."""
    tree = ast.parse(source)
    return [_made(tree, place) for place in _places(tree)]


def _places(tree: ast.Module) -> Iterator[_Place]:
    for number, (node, quiet, within) in enumerate(_walked(tree)):
        if not quiet:
            yield from (_Place(number, change, within) for change in _changes(node))


def _walked(tree: ast.Module) -> list[tuple[ast.AST, bool, tuple[int, int] | None]]:
    """Every node, whether it is to be left alone, and the lines of its function; the same order for equal trees."""
    found: list[tuple[ast.AST, bool, tuple[int, int] | None]] = []

    def walk(node: ast.AST, quiet: bool, within: tuple[int, int] | None) -> None:
        quiet = quiet or _left_alone(node)
        found.append((node, quiet, within))
        for name, value in ast.iter_fields(node):
            still = quiet or name in DECLARED or (name == "keywords" and isinstance(node, ast.ClassDef))
            inside = _lines(node) if name == "body" and isinstance(node, FUNCTIONS) else within
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    walk(child, still, inside)

    walk(tree, False, None)
    return found


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[int, int]:
    first = min(node.lineno for node in (function, *function.decorator_list))
    return first, function.end_lineno or function.lineno


def _left_alone(node: ast.AST) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr)):
        return True
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.Assign):
        names = {target.id for target in node.targets if isinstance(target, ast.Name)}
        return bool(names & {"__slots__", "__all__", "logger"})
    if isinstance(node, ast.Expr):
        call = node.value
        if isinstance(call, ast.Constant):
            return True
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            return isinstance(call.func.value, ast.Name) and call.func.value.id == "logger"
    return False


def _changes(node: ast.AST) -> Iterator[str]:
    if type(node) in SWAPS:
        if not isinstance(node, (ast.Break, ast.Continue)):
            return  # named by what holds it, which has a line
        yield "swap"
    elif isinstance(node, ast.Compare):
        yield from (f"op {at}" for at, op in enumerate(node.ops) if type(op) in SWAPS)
    elif isinstance(node, (ast.BoolOp, ast.BinOp, ast.AugAssign)) and type(node.op) in SWAPS:
        yield "op"
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield "turn"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not"
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield "constant"
    elif isinstance(node, ast.Return) and node.value is not None and not _is_nothing(node.value):
        yield "return"
    elif _can_go(node):
        yield "drop"


def _can_go(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        return all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in node.targets)
    return isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Await)))


def _is_nothing(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in (None, False)


def _made(tree: ast.Module, place: _Place) -> Mutant:
    changed = copy.deepcopy(tree)
    node = _walked(changed)[place.number][0]
    before = ast.unparse(node).partition("\n")[0]
    after = _change(changed, node, place.change)
    line = getattr(node, "lineno", 0)
    return Mutant(line, f"{before} -> {after}", ast.fix_missing_locations(changed), place.within)


def _change(tree: ast.Module, node: ast.AST, change: str) -> str:
    """Change the node, in place; what it is now, as text."""
    match change.split():
        case ["swap"]:
            return _replace(tree, node, SWAPS[type(node)]())
        case ["op", at]:
            assert isinstance(node, ast.Compare)
            node.ops[int(at)] = SWAPS[type(node.ops[int(at)])]()  # type: ignore[assignment]
        case ["op"]:
            node.op = SWAPS[type(node.op)]()  # type: ignore[attr-defined]
        case ["turn"]:
            node.test = ast.UnaryOp(ast.Not(), node.test)  # type: ignore[attr-defined]
        case ["not"]:
            return _replace(tree, node, node.operand)  # type: ignore[attr-defined]
        case ["constant"]:
            value = node.value  # type: ignore[attr-defined]
            node.value = not value if isinstance(value, bool) else value + 1  # type: ignore[attr-defined]
        case ["return"]:
            node.value = ast.Constant(None)  # type: ignore[attr-defined]
        case ["drop"]:
            return _replace(tree, node, ast.Pass())
    return ast.unparse(node).partition("\n")[0]


def _replace(tree: ast.Module, node: ast.AST, other: ast.AST) -> str:
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, name, other)
            elif isinstance(value, list):
                value[:] = [other if each is node else each for each in value]
    return ast.unparse(other).partition("\n")[0]
