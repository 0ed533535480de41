"""What `serverless.yml` deploys: valid, least-privilege, and with the numbers it promises."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from deploy.lambda_zip import ROOT
from deploy.osls import osls
from pipeline.config import Config, variable_of
from pipeline.jobs.redelivery import Patience
from pipeline.metrics import METRICS
from tests.cloudformation import Template
from tests.deployment import packaged, parameters, service_folder

GUIDE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
STAGE = "s9"
NAME = f"alb-logs-{STAGE}"
BARE = {"bucket": "the-logs"}
ROLES = (
    "arn:aws:iam::210987654321:role/read-logs",
    "arn:aws:iam::310987654321:role/team,a/read=logs",
    "arn:aws:iam::210987654321:role/read-logs",  # of two buckets
)
FULL = {
    **BARE,
    "bucket-account": "210987654321",
    "topic-arn": "arn:aws:sns:eu-central-1:123456789012:log-objects",
    "rule-arn": "arn:aws:events:eu-central-1:123456789012:rule/log-objects",
    "bucket-roles": " ".join(
        f"{bucket}={role}"
        for bucket, role in zip(("a-logs", "b-logs", "c-logs"), ROLES, strict=True)
    ),
    "kms-key-arns": ",".join(f"arn:aws:kms:eu-central-1:123456789012:key/{n}" for n in (1, 2)),
    "es-api-key-parameter": "/elastic/key",
    "es-api-key-secret": "elastic-key",
    "es-url": "https://es.example.org:9200",
    "subnet-ids": "subnet-0a1b2c3d,subnet-1a1b2c3d",
    "security-group-ids": "sg-0a1b2c3d",
    "alarm-email": "someone@example.org",
}

BUCKET = "arn:aws:s3:::the-logs"
LOG_GROUP = "(IngestLogGroup.Arn)"
QUEUE = "(Queue.Arn)"
VPC_ACTIONS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)

Grant = tuple[str, str]

ALWAYS: set[Grant] = {
    ("s3:GetObject", f"{BUCKET}/AWSLogs/*"),
    ("s3:ListBucket", BUCKET),
    ("sqs:ReceiveMessage", QUEUE),
    ("sqs:DeleteMessage", QUEUE),
    ("sqs:GetQueueAttributes", QUEUE),
    ("sqs:ChangeMessageVisibility", QUEUE),
    ("sqs:SendMessage", QUEUE),
    ("logs:CreateLogStream", LOG_GROUP),
    ("logs:PutLogEvents", LOG_GROUP),
    ("xray:PutTraceSegments", "*"),
    ("xray:PutTelemetryRecords", "*"),
}
ON_DEMAND: set[Grant] = {
    ("kms:Decrypt", "arn:aws:kms:eu-central-1:123456789012:key/1"),
    ("kms:Decrypt", "arn:aws:kms:eu-central-1:123456789012:key/2"),
    ("ssm:GetParameter", "arn:aws:ssm:eu-central-1:123456789012:parameter/elastic/key"),
    (
        "secretsmanager:GetSecretValue",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:elastic-key-??????",
    ),
    *(("sts:AssumeRole", role) for role in ROLES),
    *((action, "*") for action in VPC_ACTIONS),
}

STARS: dict[Grant, str] = {
    ("s3:GetObject", f"{BUCKET}/AWSLogs/*"): "the objects are not written yet",
    ("xray:PutTraceSegments", "*"): "X-Ray has no resources",
    ("xray:PutTelemetryRecords", "*"): "X-Ray has no resources",
    **{(each, "*"): "Lambda checks for it before the interface exists" for each in VPC_ACTIONS},
}
"""The only stars, each with the reason why AWS allows nothing narrower."""

EXPECTED_WARNINGS = {
    "W1033": "an empty list of a part that its condition leaves out",
    "W3005": "osls itself says the order that CloudFormation finds too",
    "W8003": "the conditions are decided when osls fills in the parameters",
}

ALARMS = {
    "accounting": ("alb-logs", "AccountingErrors"),
    "dlq-not-empty": ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
    "errors": ("AWS/Lambda", "Errors"),
    "no-lines": ("alb-logs", "Lines"),
    "notification-errors": ("alb-logs", "NotificationErrors"),
    "objects-failed": ("alb-logs", "ObjectsFailed"),
    "oldest-message": ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
    "rejected": ("alb-logs", "Rejected"),
    "throttles": ("AWS/Lambda", "Throttles"),
}

SERVICE = "POWERTOOLS_SERVICE_NAME"
NO_PLAIN_SECRETS = {"es_api_key", "es_password", "es_username"}


def role_statements(template: Template) -> Iterator[dict[str, Any]]:
    """Give what the function's role says."""
    for role in template.of_type("AWS::IAM::Role").values():
        for policy in role["Policies"]:
            yield from policy["PolicyDocument"]["Statement"]


def grants_of(template: Template) -> Counter[Grant]:
    """Count each action on each resource that the role allows."""
    return Counter(
        (action, resource)
        for statement in role_statements(template)
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    )


def listed(one_or_more: str | list[str]) -> list[str]:
    """Give a list of what may be one."""
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Give the template of a user who sets what must be set."""
    return Template(packaged(service_folder(tmp_path_factory.mktemp("bare")), STAGE, BARE))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Give the template of a user who sets everything."""
    return Template(packaged(service_folder(tmp_path_factory.mktemp("full")), STAGE, FULL))


@pytest.fixture(scope="module")
def function(bare: Template) -> dict[str, Any]:
    """Give the function's properties."""
    return bare.resources["IngestLambdaFunction"]


@pytest.fixture(scope="module")
def mapping(bare: Template) -> dict[str, Any]:
    """Give the event source mapping's properties."""
    (only,) = bare.of_type("AWS::Lambda::EventSourceMapping").values()
    return only


@pytest.mark.parametrize("which", ["bare", "full"])
def test_cfn_lint_finds_no_error(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Both templates are what CloudFormation takes; what cfn-lint warns of has its reason."""
    path = tmp_path / "template.json"
    path.write_text(json.dumps(request.getfixturevalue(which).raw))
    linter = str(Path(sys.executable).with_name("cfn-lint"))
    command = [linter, "--format", "json", "--regions", "eu-central-1", "--", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    found = {each["Rule"]["Id"]: each["Message"] for each in json.loads(done.stdout)}
    assert {} == {rule: text for rule, text in found.items() if rule not in EXPECTED_WARNINGS}


def test_the_bucket_must_be_named(tmp_path: Path) -> None:
    """Without the one parameter that has no default nothing is deployed."""
    done = osls("package", "--stage", STAGE, service=service_folder(tmp_path))

    assert done.returncode != 0
    assert 'Value not found at "param" source' in done.stdout


def test_an_unknown_property_is_refused(tmp_path: Path) -> None:
    """A misspelt key of serverless.yml is an error, so what it says is what is deployed."""
    service = service_folder(tmp_path)
    text = (ROOT / "serverless.yml").read_text()
    assert "batchSize:" in text
    (service / "serverless.yml").write_text(text.replace("batchSize:", "batchsize:"))

    done = osls("package", "--param=bucket=logs", service=service)

    assert done.returncode != 0
    assert "unrecognized property 'batchsize'" in done.stdout


def parameters_of(text: str) -> dict[str, str]:
    """Give the parameters of serverless.yml and their defaults as they are written."""
    section = text.partition("params:\n  default:\n")[2].partition("\nprovider:")[0]
    found = re.findall(r"^    ([a-z-]+): +(.*?) *(?:#.*)?$", section, re.MULTILINE)
    return {name: default.strip("'") for name, default in found}


def test_the_guide_explains_every_parameter() -> None:
    """docs/deploy.md has each parameter, with its default."""
    section = GUIDE.partition("\n## Parameters\n")[2].partition("\n## ")[0]
    explained = dict(re.findall(r"^\| `([a-z-]+)` \| (?:`([^`]*)`)?[^|]*\|", section, re.MULTILINE))

    given = parameters_of((ROOT / "serverless.yml").read_text())
    assert given.pop("bucket-account") == "{Ref: 'AWS::AccountId'}"
    assert {"bucket": "", "bucket-account": "", **given} == explained


def test_the_guide_explains_every_permission_and_alarm() -> None:
    """docs/deploy.md has a line for each action of the role, and for each alarm."""
    actions = {action for action, _ in ALWAYS | ON_DEMAND}

    assert actions == set(re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", GUIDE))
    assert set(ALARMS) <= set(re.findall(r"^\| `([a-z-]+)` \|", GUIDE, re.MULTILINE))
    assert f" {len(ALARMS)} alarms, one dashboard " in GUIDE  # which cost something


# Least privilege


def test_the_role_allows_exactly_this(bare: Template) -> None:
    """The role has these grants, each once, and not one more."""
    assert Counter(ALWAYS) == grants_of(bare)


def test_the_role_with_all_options_allows_exactly_this(full: Template) -> None:
    """A parameter adds the grant that it needs, and nothing else."""
    assert Counter(ALWAYS | ON_DEMAND) == grants_of(full)


def test_the_roles_of_buckets_are_set_and_granted(full: Template) -> None:
    """One parameter gives the function both the setting and the permission."""
    given = full.resources["IngestLambdaFunction"]["Environment"]["Variables"]
    config = Config.from_env({"ALB_LOGS_BUCKET_ROLES": given["ALB_LOGS_BUCKET_ROLES"]})

    assert ROLES == tuple(role for _, role in config.bucket_roles)
    assert {role for action, role in grants_of(full) if action == "sts:AssumeRole"} == set(ROLES)


@pytest.mark.parametrize(
    "pair",
    [
        "logs",
        "logs=arn:aws:iam::210987654321:role/*",
        "logs=arn:aws:iam::*:role/read-logs",
        "logs=arn:aws:iam::210987654321:user/read-logs",
    ],
)
def test_what_is_no_role_is_not_deployed(tmp_path: Path, pair: str) -> None:
    """The function may not be let into more than the roles named: nothing is deployed."""
    given = parameters({**BARE, "bucket-roles": pair})
    done = osls("package", "--stage", STAGE, *given, service=service_folder(tmp_path))

    assert done.returncode != 0
    assert f"bucket-roles: '{pair}' is no pair BUCKET=ROLE_ARN" in done.stdout + done.stderr


def test_every_star_has_its_reason(full: Template) -> None:
    """No action has a star, no resource but those that AWS can not name any narrower."""
    grants = grants_of(full)

    assert set() == {action for action, _ in grants if "*" in action}
    assert set(STARS) == {grant for grant in grants if "*" in grant[1]}


def test_no_policy_comes_from_elsewhere(full: Template) -> None:
    """One role, without managed policies; only Lambda may take it."""
    (role,) = full.of_type("AWS::IAM::Role").values()
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]

    assert "ManagedPolicyArns" not in role
    assert {} == full.of_type("AWS::IAM::Policy") | full.of_type("AWS::IAM::ManagedPolicy")
    assert ({"Service": "lambda.amazonaws.com"}, "sts:AssumeRole") == (
        trust["Principal"],
        trust["Action"],
    )
    assert "(IngestRole.Arn)" == full.resources["IngestLambdaFunction"]["Role"]


def test_what_lambda_needs_in_a_vpc_the_code_may_not(full: Template) -> None:
    """The permissions that stand in a VPC are denied to the code of the function."""
    (denial,) = (each for each in role_statements(full) if each["Effect"] == "Deny")

    assert VPC_ACTIONS == tuple(denial["Action"])
    arn = f"arn:aws:lambda:eu-central-1:123456789012:function:{NAME}"
    assert {"ArnEquals": {"lambda:SourceFunctionArn": arn}} == denial["Condition"]


def test_only_the_bucket_of_its_account_may_send(bare: Template) -> None:
    """The queue's policy lets S3 send for this bucket while it belongs to this account."""
    (policy,) = bare.of_type("AWS::SQS::QueuePolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]

    assert ["(Queue)"] == policy["Queues"]
    assert {
        "Sid": "TheBucketOfItsAccount",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": QUEUE,
        "Condition": {
            "ArnEquals": {"aws:SourceArn": BUCKET},
            "StringEquals": {"aws:SourceAccount": "123456789012"},
        },
    } == statement


def test_a_bucket_of_another_account_may_send(full: Template) -> None:
    """The parameter says whose bucket it is."""
    first = full.resources["QueuePolicy"]["PolicyDocument"]["Statement"][0]

    assert {"aws:SourceAccount": "210987654321"} == first["Condition"]["StringEquals"]


def test_topic_and_rule_may_send_where_they_are_named(full: Template) -> None:
    """With an SNS topic or an EventBridge rule between, just that one may send too."""
    statements = full.resources["QueuePolicy"]["PolicyDocument"]["Statement"]

    assert {
        "s3.amazonaws.com": BUCKET,
        "sns.amazonaws.com": FULL["topic-arn"],
        "events.amazonaws.com": FULL["rule-arn"],
    } == {
        each["Principal"]["Service"]: each["Condition"]["ArnEquals"]["aws:SourceArn"]
        for each in statements
    }
    assert {("Allow", "sqs:SendMessage", QUEUE)} == {
        (each["Effect"], each["Action"], each["Resource"]) for each in statements
    }


# The queue and its trigger


def test_a_message_is_hidden_long_enough(
    bare: Template, function: dict[str, Any], mapping: dict[str, Any]
) -> None:
    """Visibility >= 6 x timeout + batching window, as AWS asks."""
    least = 6 * function["Timeout"] + mapping["MaximumBatchingWindowInSeconds"]

    assert bare.resources["Queue"]["VisibilityTimeout"] >= least


def test_an_hour_without_elasticsearch_reaches_no_dlq(bare: Template) -> None:
    """Receives x visibility >= 4 hours, well before the message would expire."""
    queue = bare.resources["Queue"]
    patience = queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"]

    assert 4 * 3_600 <= patience <= queue["MessageRetentionPeriod"] / 2


def test_what_the_queues_keep(bare: Template) -> None:
    """The queue keeps a message 4 days, the dead-letter queue 14; both are encrypted."""
    queue, dlq = bare.resources["Queue"], bare.resources["DeadLetterQueue"]

    assert (4, 14) == (
        queue["MessageRetentionPeriod"] / 86_400,
        dlq["MessageRetentionPeriod"] / 86_400,
    )
    assert queue["SqsManagedSseEnabled"] is dlq["SqsManagedSseEnabled"] is True


def test_the_dead_letter_queue_is_this_queues_own(bare: Template) -> None:
    """What is given up ends in the DLQ, and the DLQ takes from no other queue."""
    queue, dlq = bare.resources["Queue"], bare.resources["DeadLetterQueue"]

    assert "(DeadLetterQueue.Arn)" == queue["RedrivePolicy"]["deadLetterTargetArn"]
    assert {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [f"arn:aws:sqs:eu-central-1:123456789012:{queue['QueueName']}"],
    } == dlq["RedriveAllowPolicy"]


def test_messages_fail_one_by_one_in_small_batches(mapping: dict[str, Any]) -> None:
    """The queue feeds the function in batches of 1 to 5, with a brake, message by message."""
    assert QUEUE == mapping["EventSourceArn"]
    assert 1 <= mapping["BatchSize"] <= 5
    assert ["ReportBatchItemFailures"] == mapping["FunctionResponseTypes"]
    assert 2 <= mapping["ScalingConfig"]["MaximumConcurrency"] <= 10


def test_direct_invocations_fall_back_to_the_queue(bare: Template) -> None:
    """An event that S3, SNS or EventBridge sent in vain is handed to the main queue."""
    (config,) = bare.of_type("AWS::Lambda::EventInvokeConfig").values()

    assert "(IngestLambdaFunction)" == config["FunctionName"]
    assert {"OnFailure": {"Destination": QUEUE}} == config["DestinationConfig"]


# The function


def test_the_function_may_go_round(function: dict[str, Any]) -> None:
    """AWS does not stop an object's continuations after 16 rounds."""
    assert "Allow" == function["RecursiveLoop"]


def test_every_setting_can_be_deployed(function: dict[str, Any]) -> None:
    """The environment has each setting of the pipeline but the secrets, and nothing else."""
    assert {
        variable_of(setting.name)
        for setting in fields(Config)
        if setting.name not in NO_PLAIN_SECRETS
    } == set(function["Environment"]["Variables"]) - {SERVICE}


def test_a_stage_has_metrics_of_its_own(function: dict[str, Any]) -> None:
    """The function measures under the name that its alarms and its dashboard look at."""
    assert NAME == function["Environment"]["Variables"][SERVICE]


def test_the_defaults_are_the_pipelines_own(function: dict[str, Any]) -> None:
    """What a user does not set is what the pipeline would take without being told."""
    queue = {"ALB_LOGS_QUEUE_URL": "(Queue)"}
    given = function["Environment"]["Variables"]

    assert queue == {name: value for name, value in given.items() if "(" in value}
    assert Config() == Config.from_env(
        {name: given[name] for name in given.keys() - queue - {SERVICE}}
    )


def test_an_hour_without_elasticsearch_is_outlasted(bare: Template) -> None:
    """Though early failures come again soon, messages are tried for five hours."""
    queue = bare.resources["Queue"]
    visibility = int(queue["VisibilityTimeout"])
    receives = int(queue["RedrivePolicy"]["maxReceiveCount"])
    patience = Patience(visibility, receives)

    assert visibility * receives >= 4 * 3_600
    assert sum(patience.pause(number) for number in range(1, receives)) >= 5 * 3_600


def test_the_zip_says_what_it_runs_on(function: dict[str, Any]) -> None:
    """Runtime and architecture are those that the zip was made for."""
    assert "python3.13" == function["Runtime"]  # what service_folder's description says
    assert ["arm64"] == function["Architectures"]
    assert "lambda/handler.handler" == function["Handler"]
    assert function["Code"]["S3Key"].endswith("/alb-logs-lambda-arm64.zip")


def test_the_function_stands_in_a_vpc_if_asked(bare: Template, full: Template) -> None:
    """Only with subnets is the function put into a VPC."""
    inside = full.resources["IngestLambdaFunction"]["VpcConfig"]

    assert "VpcConfig" not in bare.resources["IngestLambdaFunction"]
    assert {
        "SubnetIds": ["subnet-0a1b2c3d", "subnet-1a1b2c3d"],
        "SecurityGroupIds": ["sg-0a1b2c3d"],
    } == inside


def test_logs_are_kept_and_traces_made(bare: Template, function: dict[str, Any]) -> None:
    """The function's log is kept 30 days, its invocations are traced."""
    group = bare.resources["IngestLogGroup"]

    assert (f"/aws/lambda/{NAME}", 30) == (group["LogGroupName"], group["RetentionInDays"])
    assert {"Mode": "Active"} == function["TracingConfig"]


def test_stages_do_not_collide(full: Template) -> None:
    """Everything that has a name has the stage in it."""
    named = {
        value
        for properties in full.resources.values()
        for key, value in properties.items()
        if key.endswith("Name") and key not in {"MetricName", "FunctionName"}
    } | {full.resources["IngestLambdaFunction"]["FunctionName"]}

    assert NAME in named
    assert set() == {name for name in named if NAME not in name}


# Who hears of it


def test_the_alarms(bare: Template) -> None:
    """Each cause for alarm has its alarm, which tells the topic when it begins and ends."""
    alarms = bare.of_type("AWS::CloudWatch::Alarm").values()

    assert ALARMS == {
        each["AlarmName"].removeprefix(f"{NAME}-"): (each["Namespace"], each["MetricName"])
        for each in alarms
    }
    for alarm in alarms:
        assert ["(AlarmTopic)"] == alarm["AlarmActions"] == alarm["OKActions"]


@pytest.mark.parametrize("name", ALARMS)
def test_each_alarm_has_its_page(name: str) -> None:
    """Whoever an alarm wakes finds a heading of its name in the runbook, and it in the guide."""
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    assert f"\n## {name}\n" in runbook
    assert f"| `{name}` |" in GUIDE


def test_alarms_measure_what_exists(bare: Template) -> None:
    """An alarm on our own metric names one that the function has, by its dimension."""
    ours = [
        each
        for each in bare.of_type("AWS::CloudWatch::Alarm").values()
        if each["Namespace"] == "alb-logs"
    ]

    assert {each["MetricName"] for each in ours} <= set(METRICS)
    assert [[{"Name": "service", "Value": NAME}]] * len(ours) == [
        each["Dimensions"] for each in ours
    ]


def test_silence_is_an_alarm(bare: Template) -> None:
    """Half an hour without a line is an alarm, also when nothing is measured; all else is not."""
    alarms = bare.of_type("AWS::CloudWatch::Alarm")
    silence = alarms["SilenceAlarm"]

    assert 30 * 60 == silence["Period"] * silence["EvaluationPeriods"]
    assert ["SilenceAlarm"] == [
        name for name, each in alarms.items() if each["TreatMissingData"] == "breaching"
    ]


def test_a_failure_that_passes_is_no_alarm(bare: Template) -> None:
    """Objects must fail for 20 of 30 minutes; a message that names no object tells at once."""
    alarms = bare.of_type("AWS::CloudWatch::Alarm")
    failed, unread = alarms["ObjectsFailedAlarm"], alarms["NotificationErrorsAlarm"]

    assert 4 * 300 == failed["Period"] * failed["DatapointsToAlarm"]
    assert 6 * 300 == failed["Period"] * failed["EvaluationPeriods"]
    assert 300 == unread["Period"] * unread["EvaluationPeriods"]
    for each in (failed, unread):
        assert ("Sum", "GreaterThanThreshold", 0) == (
            each["Statistic"],
            each["ComparisonOperator"],
            each["Threshold"],
        )


def test_mail_is_sent_where_an_address_is_given(bare: Template, full: Template) -> None:
    """The topic has a subscriber only if one is named."""
    kind = "AWS::SNS::Subscription"

    assert {} == bare.of_type(kind)
    assert ["someone@example.org"] == [each["Endpoint"] for each in full.of_type(kind).values()]


def test_the_dashboard_shows_what_is_measured(bare: Template) -> None:
    """The dashboard is JSON, and each metric of ours on it is one that the function has."""
    body = json.loads(bare.resources["Dashboard"]["DashboardBody"])
    shown = [line for widget in body["widgets"] for line in widget["properties"].get("metrics", [])]
    ours = {tuple(line[2:4]): line[1] for line in shown if line[0] == "alb-logs"}

    assert {("service", NAME)} == set(ours)
    assert {line[1] for line in shown if line[0] == "alb-logs"} >= set(METRICS) - {
        "Lines",  # the stacked terms beside each other
        "Repeated",  # among the duplicates
    }
    assert {line[1] for line in shown if line[0] == "alb-logs"} <= set(METRICS)
    assert "${" not in bare.resources["Dashboard"]["DashboardBody"]
