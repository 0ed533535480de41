"""Read a CloudFormation template as CloudFormation would: functions and conditions worked out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
}

_ABSENT = "(AWS::NoValue)"


@dataclass(frozen=True)
class Template:
    """A template; what only AWS knows stands in brackets: (Queue.Arn)."""

    raw: dict[str, Any]

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the properties of every resource that is deployed, by logical id."""
        return {
            name: self._resolved(resource.get("Properties", {}))
            for name, resource in self.raw["Resources"].items()
            if self._holds(resource.get("Condition"))
        }

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resources of one type."""
        types = {name: each["Type"] for name, each in self.raw["Resources"].items()}
        return {name: each for name, each in self.resources.items() if types[name] == kind}

    def _holds(self, condition: str | None) -> bool:
        """Return whether a condition holds, of the one form that is used: !Not [!Equals [x, y]]."""
        if condition is None:
            return True
        (equals,) = self.raw["Conditions"][condition]["Fn::Not"]
        (one, other) = equals["Fn::Equals"]
        return bool(one != other)

    def _resolved(self, node: Any) -> Any:  # noqa: ANN401  JSON
        if isinstance(node, list):
            known = [self._resolved(each) for each in node]
            return [each for each in known if each != _ABSENT]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in _FUNCTIONS:
                return _FUNCTIONS[name](self, argument)
        known_values = {name: self._resolved(each) for name, each in node.items()}
        return {name: each for name, each in known_values.items() if each != _ABSENT}

    def _ref(self, name: str) -> str:
        return PSEUDO.get(name, f"({name})")

    def _get_att(self, path: list[str]) -> str:
        return f"({'.'.join(path)})"

    def _join(self, argument: list[Any]) -> str:
        between, parts = argument
        return str(between).join(self._resolved(parts))

    def _split(self, argument: list[str]) -> list[str]:
        between, text = argument
        return text.split(between)

    def _select(self, argument: list[Any]) -> str:
        at, parts = argument
        return str(self._resolved(parts)[at])

    def _if(self, argument: list[Any]) -> Any:  # noqa: ANN401  JSON
        condition, then, otherwise = argument
        return self._resolved(then if self._holds(condition) else otherwise)

    def _sub(self, argument: str | list[Any]) -> str:
        text, values = (argument, {}) if isinstance(argument, str) else argument
        for name, value in {**PSEUDO, **values}.items():
            text = text.replace(f"${{{name}}}", str(self._resolved(value)))
        return str(text)


_FUNCTIONS: dict[str, Callable[[Template, Any], Any]] = {
    "Ref": Template._ref,
    "Fn::GetAtt": Template._get_att,
    "Fn::If": Template._if,
    "Fn::Join": Template._join,
    "Fn::Select": Template._select,
    "Fn::Split": Template._split,
    "Fn::Sub": Template._sub,
}
