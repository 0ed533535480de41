"""What is deployed, in one form for both ways to do it: by `serverless.yml` and by `terraform/`."""

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.cloudformation import PSEUDO, Template
from tests.support.terraform import Module

Facts = dict[str, Any]
Resource = tuple[str, dict[str, Any]]

SAME = {
    "(aws_cloudwatch_log_group.ingest.arn):*": "(IngestLogGroup.Arn)",
    "(aws_iam_role.ingest.arn)": "(IngestRole.Arn)",
    "(aws_lambda_function.ingest.arn)": "(IngestLambdaFunction.Arn)",
    "(aws_lambda_function.ingest.function_name)": "(IngestLambdaFunction)",
    "(aws_sns_topic.alarms.arn)": "(AlarmTopic)",
    "(aws_sqs_queue.dead_letter.arn)": "(DeadLetterQueue.Arn)",
    "(aws_sqs_queue.dead_letter.name)": "(DeadLetterQueue.QueueName)",
    "(aws_sqs_queue.ingest.arn)": "(Queue.Arn)",
    "(aws_sqs_queue.ingest.id)": "(Queue)",
    "(aws_sqs_queue.ingest.name)": "(Queue.QueueName)",
    "(aws_sqs_queue.ingest.url)": "(Queue)",
}
"""What only AWS knows, in the terms of either."""

_KINDS = {
    "aws_cloudwatch_dashboard": "AWS::CloudWatch::Dashboard",
    "aws_cloudwatch_log_group": "AWS::Logs::LogGroup",
    "aws_cloudwatch_metric_alarm": "AWS::CloudWatch::Alarm",
    "aws_lambda_event_source_mapping": "AWS::Lambda::EventSourceMapping",
    "aws_lambda_function": "AWS::Lambda::Function",
    "aws_lambda_function_event_invoke_config": "AWS::Lambda::EventInvokeConfig",
    "aws_sns_topic": "AWS::SNS::Topic",
    "aws_sns_topic_subscription": "AWS::SNS::Subscription",
    "aws_sqs_queue": "AWS::SQS::Queue",
}
_OTHER_NAMES = {
    ("AWS::Logs::LogGroup", "name"): "LogGroupName",
    ("AWS::SNS::Topic", "name"): "TopicName",
    ("AWS::SQS::Queue", "name"): "QueueName",
    ("AWS::SQS::Queue", "message_retention_seconds"): "MessageRetentionPeriod",
    ("AWS::SQS::Queue", "visibility_timeout_seconds"): "VisibilityTimeout",
    ("AWS::CloudWatch::Alarm", "ok_actions"): "OKActions",
}
_NOT_PROPERTIES = {"depends_on", "source_code_hash"}
_PROVIDERS_DEFAULTS: dict[str, dict[str, Any]] = {
    "AWS::Lambda::EventInvokeConfig": {"Qualifier": "$LATEST"},
    "AWS::Lambda::EventSourceMapping": {"Enabled": True},
}
_STATEMENT = {"sid", "effect", "actions", "resources", "principals", "condition"}


# Of serverless.yml


def resources_of(template: Template) -> list[Resource]:
    """Return what is deployed for the pipeline, and leave out what osls needs for itself."""
    resources = copy.deepcopy(template.resources)
    del resources["ServerlessDeploymentBucket"], resources["ServerlessDeploymentBucketPolicy"]
    function = resources["IngestLambdaFunction"]
    del function["Tags"]  # the provider's in Terraform
    function["Zip"] = Path(function.pop("Code")["S3Key"]).name
    return [(template.raw["Resources"][name]["Type"], each) for name, each in resources.items()]


def facts_of_template(resources: list[Resource]) -> Facts:
    """Return what these resources come to."""
    rest = copy.deepcopy(resources)
    role, policy = _only("AWS::IAM::Role", rest), _only("AWS::SQS::QueuePolicy", rest)
    (own,) = role.pop("Policies")
    facts = {
        "trust": _statements_in(role.pop("AssumeRolePolicyDocument")),
        "may": _statements_in(own.pop("PolicyDocument")),
        "may send": _statements_in(policy.pop("PolicyDocument")),
        "role": [role, own],
        "policy's queues": policy,
        "resources": _in_order(rest),
    }
    text = json.dumps(facts)
    place = f"{PSEUDO['AWS::Region']}:{PSEUDO['AWS::AccountId']}"
    (main,) = (e["QueueName"] for kind, e in rest if "RedrivePolicy" in e)
    by_name = f'["arn:aws:sqs:{place}:{main}"]'
    same: Facts = json.loads(text.replace(by_name, '["(Queue.Arn)"]'))
    return same


def _only(kind: str, resources: list[Resource]) -> dict[str, Any]:
    (found,) = (each for each in resources if each[0] == kind)
    resources.remove(found)
    return found[1]


def _statements_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    assert document.keys() == {"Version", "Statement"}
    assert "2012-10-17" == document["Version"]
    return _statements(document["Statement"])


# Of terraform/


def facts_of_module(module: Module) -> Facts:
    """Return what the module comes to, in CloudFormation's words."""
    rest = copy.deepcopy(module.resources)
    role, own, policy = (
        _only_one(kind, rest)
        for kind in ("aws_iam_role", "aws_iam_role_policy", "aws_sqs_queue_policy")
    )
    assert "(aws_iam_role.ingest.id)" == own["role"]
    facts = {
        "trust": _document(module, role["assume_role_policy"]),
        "may": _document(module, own["policy"]),
        "may send": _document(module, policy["policy"]),
        "role": [{"Description": role["description"]}, {"PolicyName": own["name"]}],
        "policy's queues": {"Queues": [policy["queue_url"]]},
        "resources": _in_order(_as_in_cloudformation(rest)),
    }
    assert {} == rest
    text = json.dumps(facts)
    for here, there in SAME.items():
        text = text.replace(here, there)
    same: Facts = json.loads(text)
    return same


def _only_one(kind: str, resources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    (found,) = resources.pop(kind).values()
    return dict(found)


def _document(module: Module, reference: str) -> list[dict[str, Any]]:
    name = reference.removeprefix("(data.aws_iam_policy_document.").removesuffix(".json)")
    return _statements(_statement(each) for each in module.document(name))


def _statement(statement: dict[str, Any]) -> dict[str, Any]:
    assert set(statement) <= _STATEMENT, statement
    conditions: dict[str, dict[str, Any]] = {}
    for each in statement.get("condition", []):
        conditions.setdefault(each["test"], {})[each["variable"]] = each["values"]
    found = {
        "Sid": statement.get("sid"),
        "Effect": statement.get("effect", "Allow"),
        "Action": statement["actions"],
        "Resource": statement.get("resources"),
        "Principal": {e["type"]: e["identifiers"] for e in statement.get("principals", [])},
        "Condition": conditions,
    }
    return {name: value for name, value in found.items() if value}


def _as_in_cloudformation(resources: dict[str, dict[str, Any]]) -> list[Resource]:
    """Take the resources, with what is apart in Terraform and a property in CloudFormation."""
    recursion = _only_one("aws_lambda_function_recursion_config", resources)
    redrive = _only_one("aws_sqs_queue_redrive_allow_policy", resources)
    assert "(aws_lambda_function.ingest.function_name)" == recursion["function_name"]
    assert "(aws_sqs_queue.dead_letter.id)" == redrive["queue_url"]
    resources["aws_lambda_function"]["ingest"]["recursive_loop"] = recursion["recursive_loop"]
    dead_letter = resources["aws_sqs_queue"]["dead_letter"]
    dead_letter["redrive_allow_policy"] = redrive["redrive_allow_policy"]
    return [
        (cfn, _properties(cfn, each) | _PROVIDERS_DEFAULTS.get(cfn, {}))
        for kind, cfn in _KINDS.items()
        for each in resources.pop(kind, {}).values()
    ]


def _properties(cfn: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a resource's or a block's arguments as CloudFormation calls them."""
    found = {
        _OTHER_NAMES.get((cfn, name)) or _camel(name): _property(name, value)
        for name, value in arguments.items()
        if name not in _NOT_PROPERTIES
    }
    if "Filename" in found:
        found["Zip"] = Path(found.pop("Filename")).name
    return found


def _property(name: str, value: Any) -> Any:  # noqa: ANN401  any of HCL's values
    """Return one argument's value: text that is JSON read, a block as an object."""
    if name.endswith("_policy"):
        return json.loads(value)
    if name == "dimensions":
        return [{"Name": key, "Value": each} for key, each in value.items()]
    if name == "environment":
        return {"Variables": value[0]["variables"]}
    is_block = isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict)
    return _properties("", value[0]) if is_block else value


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


# Of both


def _statements(of_a_policy: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return statements so that order, and one or a list of one, make no difference."""
    sorted_inside = (
        {name: _in_lists(name, value) for name, value in each.items()} for each in of_a_policy
    )
    return sorted(sorted_inside, key=_text)


def _in_lists(name: str, value: Any) -> Any:  # noqa: ANN401  JSON
    if name in {"Sid", "Effect"}:
        return value
    if isinstance(value, dict):
        return {key: _in_lists(key, each) for key, each in value.items()}
    return [value] if isinstance(value, str) else sorted(value)


def _in_order(resources: list[Resource]) -> list[Resource]:
    for _, each in resources:
        if "DashboardBody" in each:
            each["DashboardBody"] = json.loads(each["DashboardBody"])
    return sorted(resources, key=_text)


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
