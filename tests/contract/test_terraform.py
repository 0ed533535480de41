"""What `terraform/` deploys is what `serverless.yml` deploys, to the last number."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lark import Token

from deploy.lambda_zip import ROOT
from devstack.installing import install_python
from pipeline.jobs.subscription import EVENTS
from tests.support.cloudformation import Template
from tests.support.deployment import STAGE, Service, parameters_of
from tests.support.facts import Facts, facts_of_module, facts_of_template, resources_of
from tests.support.terraform import Block, Module, Node, parsed, word

MODULE = ROOT / "terraform"
FILES = {path.name: path.read_text(encoding="utf-8") for path in sorted(MODULE.glob("*.tf"))}

ONLY_HERE = {
    "stage": "dev",  # what --stage is to osls
    "package_directory": "",
    "es_api_key": "",
    "es_api_key_version": 0,
    "manage_bucket_notification": False,
}

OUT_OF_SIGHT = {
    "function.tf: /../dist",  # where the zip is, unless a directory is given
    "role.tf: -",  # the role's name, which CloudFormation makes up
}
"""What may be changed without being another deployment."""


def variables_for(parameters: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Return parameters of serverless.yml as the module takes them."""
    kinds = {block.labels[0]: word(block.attributes["type"]) for block in blocks("variable")}
    named = {name.replace("-", "_"): text for name, text in parameters.items()}
    values = {name: typed(text, kinds[name]) for name, text in named.items()}
    return {**values, "stage": STAGE, "package_directory": str(folder / "dist")}


def typed(text: str, kind: str) -> Any:  # noqa: ANN401  any of HCL's values
    """Read what serverless.yml has as text."""
    match kind:
        case "list(string)":
            return text.split(",") if text else []
        case "map(string)":
            return dict(pair.split("=", 1) for pair in text.split())
        case "number":
            return int(text)
        case "bool":
            return text == "true"
        case _:
            return text


def blocks(kind: str) -> Iterator[Block]:
    """Yield the module's blocks of one kind."""
    yield from (block for text in FILES.values() for block in parsed(text) if block.kind == kind)


class Both:
    """The same deployment, made by either."""

    def __init__(self, service: Service) -> None:
        """Take the template that osls made; the module is read when it is asked for."""
        self.resources = resources_of(Template(service.template))
        self.given = variables_for(service.parameters, service.folder)

    def template(self) -> Facts:
        """Return what serverless.yml deploys, by the resources as they are now."""
        return facts_of_template(self.resources)

    def module(self) -> Facts:
        """Return what the module deploys, by its parsed text as it is now."""
        return facts_of_module(Module(FILES, self.given, MODULE))


@pytest.fixture(scope="module")
def bare(bare_service: Service) -> Both:
    """Return the deployment of a user who sets what must be set."""
    return Both(bare_service)


@pytest.fixture(scope="module")
def full(full_service: Service) -> Both:
    """Return the deployment of a user who sets everything."""
    return Both(full_service)


# They agree


@pytest.mark.parametrize("which", ["bare", "full"])
def test_both_deploy_the_same(which: str, request: pytest.FixtureRequest) -> None:
    """Names, numbers, permissions, alarms, dashboard: what one deploys, the other does."""
    both: Both = request.getfixturevalue(which)

    assert both.template() == both.module()


def test_parameters_and_variables_agree() -> None:
    """Every parameter is a variable with the same default; what is a variable alone is named."""
    parameters = parameters_of((ROOT / "serverless.yml").read_text())
    assert parameters.pop("bucket-account") == "{Ref: 'AWS::AccountId'}"
    kinds = {block.labels[0]: word(block.attributes["type"]) for block in blocks("variable")}
    defaults = {
        name.replace("-", "_"): typed(text, kinds[name.replace("-", "_")])
        for name, text in parameters.items()
    }

    variables = Module(FILES).variables
    assert variables.pop("bucket") is None
    assert {**defaults, "bucket_account": "", **ONLY_HERE} == variables


# And every difference would be found


def test_a_change_of_the_template_is_found(full: Both) -> None:
    """Whatever leaf of the template's resources is changed, the two are no longer the same."""
    expected, resources = full.module(), full.resources
    unnoticed = []
    for path in leaves([list(each) for each in resources]):
        full.resources = json.loads(json.dumps(resources))
        change(full.resources, path)
        if is_same(full.template, expected):
            unnoticed.append(path)
    full.resources = resources

    assert [] == unnoticed


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """Yield the path to every text and number in JSON."""
    if not isinstance(node, dict | list):
        yield path
        return
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield from leaves(value, (*path, key))


def change(node: Any, path: tuple[Any, ...]) -> None:  # noqa: ANN401  JSON
    """Change one leaf."""
    for key in path[:-1]:
        node = node[key]
    before = node[path[-1]]
    is_text = isinstance(before, str)
    node[path[-1]] = f"{before}x" if is_text else int(before) + 1  # True becomes 2, False 1


def test_a_change_of_the_module_is_found(full: Both, bare: Both) -> None:
    """Whatever number, text or truth value of the module is changed, they are not the same."""
    expected = [(each, each.template()) for each in (full, bare)]
    unnoticed = set()
    for where, node in literals():
        before = node.children[0]
        assert isinstance(before, Token)
        node.children[0] = another(before)
        try:
            if all(is_same(each.module, facts) for each, facts in expected):
                unnoticed.add(f"{where}: {before}")
        finally:
            node.children[0] = before

    assert OUT_OF_SIGHT == unnoticed


def is_same(make: Callable[[], object], expected: object) -> bool:
    """Return whether a changed deployment is as before; one that cannot even be read is not."""
    try:
        return make() == expected
    except (AssertionError, AttributeError, KeyError, OSError, TypeError, ValueError):
        return False


def another(token: Token) -> Token:
    """Return another number, text or truth value."""
    text = {"true": "false", "false": "true"}.get(str(token), f"{token}x")
    return Token(token.type, str(int(token) + 1) if token.isdigit() else text)


def literals() -> Iterator[tuple[str, Node]]:
    """Yield all numbers, texts and truth values of what is compared."""
    for name, text in FILES.items():
        for block in parsed(text):
            for value in compared(block):
                yield from ((name, node) for node in value.iter_subtrees() if is_literal(node))


def compared(block: Block) -> Iterator[Node]:
    """Yield the expressions of a block that say what is deployed."""
    if block.kind == "variable":
        if block.labels[0] not in ONLY_HERE and "default" in block.attributes:
            yield block.attributes["default"]
    elif block.kind in {"locals", "resource", "data"} and not is_optional(block):
        yield from inside(block)


def is_optional(block: Block) -> bool:
    """Return whether a block is off unless asked for, and is no part of serverless.yml."""
    return block.labels[:1] in {("aws_s3_bucket_notification",), ("aws_ssm_parameter",)}


def inside(block: Block) -> Iterator[Node]:
    """Yield the expressions of a block and of those in it."""
    yield from block.attributes.values()
    for each in block.blocks:
        yield from inside(each)


def is_literal(node: Node) -> bool:
    """Return whether this is a number, a piece of text or a truth value."""
    kinds = {"int_lit", "string_part", "literal_value"}
    return node.data in kinds and isinstance(node.children[0], Token)


# What Terraform itself refuses

GOOD = {"bucket": "the-logs", "es_url": "https://es.example.org:9200"}


def test_the_defaults_are_valid() -> None:
    """What must be set and nothing more is taken."""
    assert [] == Module(FILES, GOOD).complaints()


def test_everything_that_can_be_set_is_valid(full: Both) -> None:
    """All options together are taken, except that the API key is given in one way only."""
    given = {**full.given, "es_api_key_secret": "", "es_api_key_version": 1}

    assert [] == Module(FILES, given).complaints()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("alarm_email", "nobody"),
        ("anonymize_ip", "24"),
        ("architecture", "arm"),
        ("batch_size", 6),
        ("batch_size", 0),
        ("batching_window", 301),
        ("bucket", "s3://the-logs"),
        ("bucket_account", "1234"),
        ("bucket_roles", {"a-logs": "arn:aws:iam::123456789012:role/*"}),
        ("bulk_bytes", 99_999),
        ("dead_letter_lines", "sometimes"),
        ("dlq_retention", 1_209_601),
        ("es_api_key_parameter", "alb-logs/es-api-key"),
        ("es_api_key_secret", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key"),
        ("es_api_key_version", 1),  # and no parameter is named
        ("es_connections", 17),
        ("es_url", ""),
        ("es_url", "https://user:password@es.example.org"),
        ("index_prefix", "ALB"),
        ("kms_key_arns", ["alias/logs"]),
        ("log_prefix", "/AWSLogs/"),
        ("log_prefix", "alb/*/AWSLogs/"),
        ("log_prefix", "AWSLogs/123456789012/"),
        ("log_prefix", "AWSLogs"),
        ("log_retention", 31),
        ("max_receive_count", 7),  # less than four hours of patience
        ("maximum_concurrency", 1),
        ("memory", 128),
        ("oldest_message", 60),
        ("queue_retention", 54_899),  # less than twice what a message is kept trying
        ("queue_retention", 1_209_601),
        ("redact_query", "token,*"),
        ("rule_arn", "log-objects"),
        ("silence", 289),
        ("stage", "Prod"),
        ("subnet_ids", ["subnet-0a1b2c3d"]),
        ("timeout", 901),
        ("topic_arn", "log-objects"),
        ("visibility_timeout", 1_804),  # 6 x 300 + 5 are needed
        ("visibility_timeout", 43_201),
    ],
)
def test_wrong_values_are_refused(variable: str, value: object) -> None:
    """A value that AWS or the pipeline would refuse later is refused before anything is made."""
    assert variable in Module(FILES, {**GOOD, variable: value}).complaints()


def test_visibility_of_just_enough_is_taken() -> None:
    """6 x timeout + batching window is the least that a message must be hidden."""
    assert [] == Module(FILES, {**GOOD, "visibility_timeout": 1_805}).complaints()


def test_every_variable_says_what_it_is() -> None:
    """Each has a type and a description, each validation a message."""
    for block in blocks("variable"):
        assert {"type", "description"} <= block.attributes.keys(), block.labels
        for rule in block.blocks:
            assert {"condition", "error_message"} == rule.attributes.keys(), block.labels


def test_the_api_key_is_in_no_state(full: Both) -> None:
    """The key's variable is ephemeral, and only a write-only argument is given it."""
    (variable,) = (block for block in blocks("variable") if block.labels == ("es_api_key",))
    given = {**full.given, "es_api_key": "the-key", "es_api_key_version": 3}
    resources = Module(FILES, given, MODULE).resources

    assert ("true", "true") == tuple(
        word(variable.attributes[name]) for name in ("ephemeral", "sensitive")
    )
    assert {
        "es_api_key[0]": {
            "name": "/elastic/key",
            "type": "SecureString",
            "value_wo": "the-key",
            "value_wo_version": 3,
        }
    } == resources.pop("aws_ssm_parameter")
    assert "the-key" not in json.dumps(resources)


def test_a_buckets_notifications_are_left_alone(full: Both) -> None:
    """Only who says so has the module own all of them; then it asks for what connect asks for."""
    given = {**full.given, "manage_bucket_notification": True}
    (owned,) = Module(FILES, given, MODULE).of_type("aws_s3_bucket_notification").values()

    assert {} == Module(FILES, full.given, MODULE).of_type("aws_s3_bucket_notification")
    assert "the-logs" == owned["bucket"]
    assert [
        {"queue_arn": "(aws_sqs_queue.ingest.arn)", "events": [EVENTS], "filter_prefix": "alb/"}
    ] == owned["queue"]


# What others say of it


def test_checkov_finds_nothing() -> None:
    """No check of checkov fails, and each that is skipped says why beside the resource."""
    python = install_python("checkov")
    what = ["--directory", str(MODULE), "--framework", "terraform", "--skip-download"]
    command = [str(python), "-m", "checkov.main", *what, "--compact", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    report = json.loads(done.stdout)
    failed = [(each["check_id"], each["resource"]) for each in report["results"]["failed_checks"]]
    reasons = [
        each["check_result"]["suppress_comment"] for each in report["results"]["skipped_checks"]
    ]
    assert [] == failed + report["results"]["parsing_errors"]
    assert report["summary"]["passed"] > 50
    assert 8 == len(reasons)
    assert all(len(reason) > 20 for reason in reasons)
