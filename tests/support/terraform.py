"""
Read a Terraform module as Terraform would: variables, conditions and dynamic blocks worked out.

It knows just the part of the language that `terraform/` is written in, and no provider: it does not
check whether an argument exists.
"""

import base64
import hashlib
import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import hcl2
from lark import Token, Tree

Node = Tree[Token]
Scope = Mapping[str, Any]
Value = Any  # text, number, truth, list, object

PSEUDO = {
    "(data.aws_caller_identity.current.account_id)": "123456789012",
    "(data.aws_partition.current.partition)": "aws",
    "(data.aws_region.current.region)": "eu-central-1",
}

_REPEATING = {"count", "for_each"}


class Unknown(str):
    """What only AWS knows stands in brackets: (aws_sqs_queue.ingest.arn)."""

    __slots__ = ()

    def attribute(self, name: str) -> str:
        """Return one of its attributes."""
        path = f"({self[1:-1]}.{name})"
        return PSEUDO.get(path, Unknown(path))


@dataclass(frozen=True, slots=True)
class Block:
    """One block of the text: `resource "aws_sqs_queue" "ingest" { … }`."""

    kind: str
    labels: tuple[str, ...]
    attributes: dict[str, Node]
    blocks: tuple["Block", ...]


@dataclass(frozen=True)
class Module:
    """A module's files by name, and the variables that are set."""

    files: Mapping[str, str]
    given: Mapping[str, Any] = field(default_factory=dict)
    path: Path = Path()

    @cached_property
    def variables(self) -> dict[str, Any]:
        """Return every variable's value: what is set, else the default, else None."""
        defaults = {
            block.labels[0]: self._value(block.attributes["default"], {})
            for block in self.blocks("variable")
            if "default" in block.attributes
        }
        return {block.labels[0]: None for block in self.blocks("variable")} | {
            **defaults,
            **self.given,
        }

    @cached_property
    def resources(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the arguments of every resource that is made, by type and name."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for block in self.blocks("resource"):
            kind, name = block.labels
            for key, scope in self._instances(block):
                arguments = self._arguments(block, scope)
                found.setdefault(kind, {})[f"{name}{key}"] = arguments
        return found

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resources of one type."""
        return self.resources.get(kind, {})

    def document(self, name: str) -> list[dict[str, Any]]:
        """Return the statements of a policy document."""
        (block,) = (
            each for each in self.blocks("data") if each.labels == ("aws_iam_policy_document", name)
        )
        statements: list[dict[str, Any]] = self._arguments(block, {})["statement"]
        return statements

    def complaints(self) -> list[str]:
        """Name the variables whose value their own validation does not take."""
        return [
            block.labels[0]
            for block in self.blocks("variable")
            for rule in block.blocks
            if not self._value(rule.attributes["condition"], {})
        ]

    def blocks(self, kind: str) -> Iterator[Block]:
        """Yield the top-level blocks of one kind."""
        for text in self.files.values():
            yield from (block for block in parsed(text) if block.kind == kind)

    # Blocks

    def _instances(self, block: Block) -> Iterator[tuple[str, Scope]]:
        if "count" in block.attributes:
            yield from ((f"[{n}]", {}) for n in range(self._value(block.attributes["count"], {})))
        elif "for_each" in block.attributes:
            each = self._value(block.attributes["for_each"], {})
            yield from ((f"[{k}]", {"each": {"key": k, "value": v}}) for k, v in each.items())
        else:
            yield "", {}

    def _arguments(self, block: Block, scope: Scope) -> dict[str, Any]:
        found: dict[str, Any] = {
            name: self._value(value, scope)
            for name, value in block.attributes.items()
            if name not in _REPEATING
        }
        found = {name: value for name, value in found.items() if value is not None}  # null: unset
        for kind, inner, inside in self._nested(block, scope):
            found.setdefault(kind, []).append(self._arguments(inner, inside))
        return found

    def _nested(self, block: Block, scope: Scope) -> Iterator[tuple[str, Block, Scope]]:
        for each in block.blocks:
            if each.kind != "dynamic":
                yield each.kind, each, scope
                continue
            (kind,), (content,) = each.labels, each.blocks
            for value in self._value(each.attributes["for_each"], scope):
                yield kind, content, {**scope, kind: {"value": value}}

    # Expressions, one method for each rule of the grammar

    def _value(self, node: Node, scope: Scope) -> Value:
        rule: Callable[[Node, Scope], Value] = getattr(self, f"_{node.data}")
        return rule(node, scope)

    def _expr_term(self, node: Node, scope: Scope) -> Value:
        (inner,) = parts(node)
        return self._value(inner, scope)

    def _conditional(self, node: Node, scope: Scope) -> Value:
        condition, then, otherwise = parts(node)
        return self._value(then if self._value(condition, scope) else otherwise, scope)

    def _binary_op(self, node: Node, scope: Scope) -> Value:
        left, term = parts(node)
        sign, right = parts(term)
        return _OPERATORS[word(sign)](self._value(left, scope), self._value(right, scope))

    def _identifier(self, node: Node, scope: Scope) -> Value:
        name = word(node)
        return scope[name] if name in scope else self._roots.get(name, Unknown(f"({name})"))

    def _get_attr_expr_term(self, node: Node, scope: Scope) -> Value:
        thing, attribute = parts(node)
        name = word(parts(attribute)[0])
        value = self._value(thing, scope)
        if isinstance(value, _Locals):
            return value.of(name)
        return value.attribute(name) if isinstance(value, Unknown) else value[name]

    def _function_call(self, node: Node, scope: Scope) -> Value:
        name, arguments = parts(node)
        if word(name) == "can":
            return self._can(*parts(arguments), scope=scope)
        return _FUNCTIONS[word(name)](*(self._value(each, scope) for each in parts(arguments)))

    def _can(self, attempt: Node, *, scope: Scope) -> bool:
        try:
            self._value(attempt, scope)
        except ValueError:
            return False
        return True

    def _for_tuple_expr(self, node: Node, scope: Scope) -> Value:
        intro, result = parts(node)
        *names, source = parts(intro)
        values = self._value(source, scope)
        rows = sorted(values.items()) if isinstance(values, dict) else [(each,) for each in values]
        labels = [word(name) for name in names]
        return [
            self._value(result, {**scope, **dict(zip(labels, row, strict=True))}) for row in rows
        ]

    def _tuple(self, node: Node, scope: Scope) -> Value:
        return [self._value(each, scope) for each in parts(node)]

    def _object(self, node: Node, scope: Scope) -> Value:
        pairs = (parts(each) for each in parts(node))
        return {word(key): self._value(value, scope) for key, value in pairs}

    def _string(self, node: Node, scope: Scope) -> Value:
        return "".join(self._string_part(each, scope) for each in parts(node))

    def _string_part(self, node: Node, scope: Scope) -> str:
        for interpolation in parts(node):
            (inner,) = parts(interpolation)
            return str(self._value(inner, scope))
        return str(json.loads(f'"{word(node)}"'))

    def _int_lit(self, node: Node, _: Scope) -> Value:
        return int(word(node))

    def _literal_value(self, node: Node, _: Scope) -> Value:
        return {"true": True, "false": False, "null": None}[word(node)]

    @cached_property
    def _roots(self) -> dict[str, Any]:
        return {"var": self.variables, "local": _Locals(self), "path": {"module": str(self.path)}}

    @cached_property
    def _locals(self) -> dict[str, Node]:
        return {
            name: value
            for block in self.blocks("locals")
            for name, value in block.attributes.items()
        }


@dataclass(frozen=True, slots=True)
class _Locals:
    module: Module
    known: dict[str, Value] = field(default_factory=dict)

    def of(self, name: str) -> Value:
        if name not in self.known:
            self.known[name] = self.module._value(self.module._locals[name], {})
        return self.known[name]


@cache
def parsed(text: str) -> tuple[Block, ...]:
    """Return the blocks of a file."""
    (body,) = parts(hcl2.parses_to_tree(text))
    return _contents("", (), body).blocks


def parts(node: Node) -> list[Node]:
    """Return what a piece of the text is made of, without signs, comments and line ends."""
    trees = (each for each in node.children if isinstance(each, Tree))
    return [each for each in trees if each.data != "new_line_or_comment"]


def word(node: Node | Token) -> str:
    """Return a name, a number or a quoted label as text."""
    if isinstance(node, Token):
        return str(node)
    return "".join(word(each) for each in node.children if each != '"')


def _contents(kind: str, labels: tuple[str, ...], body: Node) -> Block:
    inside = parts(body)
    attributes = {
        word(each.children[0]): parts(each)[-1] for each in inside if each.data == "attribute"
    }
    return Block(
        kind, labels, attributes, tuple(_block(each) for each in inside if each.data == "block")
    )


def _block(tree: Node) -> Block:
    *head, body = parts(tree)
    kind, *labels = (word(each) for each in head)
    return _contents(kind, tuple(labels), body)


def _regex(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if not found:
        raise ValueError(text)
    return found.group()


def _tostring(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    ">": operator.gt,
    "+": operator.add,
    "*": operator.mul,
    "&&": lambda one, other: one and other,
    "||": lambda one, other: one or other,
}

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "alltrue": all,
    "concat": lambda *lists: [each for one in lists for each in one],
    "contains": lambda values, value: value in values,
    "distinct": lambda values: list(dict.fromkeys(values)),
    "endswith": str.endswith,
    "file": lambda path: Path(path).read_text(encoding="utf-8"),
    "filebase64sha256": lambda path: base64.b64encode(
        hashlib.sha256(Path(path).read_bytes()).digest()
    ).decode(),
    "join": lambda between, parts: between.join(parts),
    "jsondecode": json.loads,
    "jsonencode": json.dumps,
    "length": len,
    "lookup": lambda mapping, key, default: mapping.get(key, default),
    "regex": _regex,
    "regexall": re.findall,
    "tostring": _tostring,
    "trimsuffix": str.removesuffix,
    "values": lambda mapping: [mapping[key] for key in sorted(mapping)],
}
