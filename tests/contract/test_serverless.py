"""What `serverless.yml` deploys: valid, least-privilege, and with the numbers it promises."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from deploy.lambda_zip import ROOT, Architecture
from deploy.osls import NoPackageError, for_package, osls
from devstack.aws import environment
from devstack.process import free_port
from pipeline.config import Config, variable_of
from pipeline.jobs.redelivery import Patience
from pipeline.metrics import METRICS
from tests.support.cloudformation import Template
from tests.support.deployment import (
    BARE,
    FULL,
    ROLES,
    STAGE,
    Service,
    parameters,
    parameters_of,
    service_folder,
)

GUIDE = "".join((ROOT / "docs" / f"{page}.md").read_text() for page in ("stack", "access"))
NAME = f"alb-logs-{STAGE}"

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

READ = ("s3:GetObject", "s3:GetObjectVersion")
BARE_KEYS = f"{BUCKET}/AWSLogs/*/elasticloadbalancing/*"
FULL_KEYS = f"{BUCKET}/alb/*AWSLogs/*/elasticloadbalancing/*"
"""What may be read, by log-prefix: logs of load balancers, and nothing else in the bucket."""

ALWAYS: set[Grant] = {
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
    **{(each, FULL_KEYS): "the objects are not written yet" for each in READ},
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
    """Yield what the function's role says."""
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
    """Return a list of what may be one."""
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


@pytest.fixture(scope="module")
def bare(bare_service: Service) -> Template:
    """Return the template of a user who sets what must be set."""
    return Template(bare_service.template)


@pytest.fixture(scope="module")
def full(full_service: Service) -> Template:
    """Return the template of a user who sets everything."""
    return Template(full_service.template)


@pytest.fixture(scope="module")
def function(bare: Template) -> dict[str, Any]:
    """Return the function's properties."""
    return bare.resources["IngestLambdaFunction"]


@pytest.fixture(scope="module")
def mapping(bare: Template) -> dict[str, Any]:
    """Return the event source mapping's properties."""
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
    given = parameters({"es-url": BARE["es-url"]})
    done = osls("package", "--stage", STAGE, *given, service=service_folder(tmp_path))

    assert done.returncode != 0
    assert 'Value not found at "param" source' in done.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({}, "set one of the parameters es-url and es-cloud-id", id="no address"),
        pytest.param(
            {"es-url": "https://es.example.org", "es-cloud-id": "name:aGVyZQ=="},
            "set one of the parameters es-url and es-cloud-id",
            id="two addresses",
        ),
        pytest.param(
            {"es-url": "https://es.example.org", "index-prefx": "shop"},
            "there is no parameter index-prefx: docs/stack.md lists all of them",
            id="misspelt",
        ),
        pytest.param({"es_url": "https://es.example.org"}, "no parameter es_url", id="underscore"),
    ],
)
def test_what_is_missing_or_misspelt_is_not_deployed(
    tmp_path: Path, given: dict[str, str], said: str
) -> None:
    """A parameter that nothing reads, or no address to write to: the error is one sentence."""
    named = parameters({"bucket": "the-logs", **given})
    done = osls("package", "--stage", STAGE, *named, service=service_folder(tmp_path))

    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    assert "    at " not in done.stdout + done.stderr


def test_a_misspelt_parameter_of_a_stage_is_not_deployed(tmp_path: Path) -> None:
    """What stands below `params` in serverless.yml for a stage is looked at, too."""
    service = service_folder(tmp_path)
    text = (service / "serverless.yml").read_text()
    stage = "params:\n  prod:\n    timout: 60\n"
    (service / "serverless.yml").write_text(text.replace("params:\n", stage, 1))

    done = osls("package", "--stage", STAGE, *parameters(BARE), service=service)

    assert done.returncode != 0
    assert "there is no parameter timout" in done.stdout + done.stderr


def test_a_stack_is_removed_without_an_address(tmp_path: Path) -> None:
    """Removing gets as far as AWS, which is not there, although no address is given."""
    service = service_folder(tmp_path)
    nowhere = f"http://127.0.0.1:{free_port()}"
    env = {**os.environ, **environment(nowhere), "HOME": str(tmp_path), "AWS_MAX_ATTEMPTS": "1"}  # noqa: TID251

    done = osls("remove", "--stage", STAGE, "--param=bucket=the-logs", service=service, env=env)

    assert done.returncode != 0
    assert "es-url" not in done.stdout + done.stderr
    assert "ECONNREFUSED" in done.stdout + done.stderr


def no_zips(dist: Path) -> None:
    """Leave the folder empty."""


def zips_for(*architectures: Architecture) -> Callable[[Path], None]:
    """Return what puts zips for these into a folder."""

    def put(dist: Path) -> None:
        for each in architectures:
            (dist / f"alb-logs-lambda-{each}.zip").touch()

    return put


ARM, INTEL = Architecture


@pytest.mark.parametrize(
    ("put", "given", "added"),
    [
        pytest.param(zips_for(INTEL), [], ["--param", "architecture=x86_64"], id="only one"),
        pytest.param(zips_for(ARM), [], ["--param", "architecture=arm64"], id="only the other"),
        pytest.param(zips_for(ARM, INTEL), [], [], id="both"),
        pytest.param(zips_for(INTEL), ["--param", "architecture=x86_64"], [], id="named"),
        pytest.param(zips_for(INTEL), ["--param=architecture=x86_64"], [], id="named, in one"),
    ],
)
def test_what_was_packaged_is_deployed(
    tmp_path: Path, put: Callable[[Path], None], given: list[str], added: list[str]
) -> None:
    """`make package` and `make deploy` agree on the architecture without a word about it."""
    put(tmp_path)

    assert ["deploy", *given, *added] == for_package(["deploy", *given], tmp_path)


@pytest.mark.parametrize(
    ("put", "given", "fix"),
    [
        pytest.param(no_zips, [], "run `make package` first", id="none"),
        pytest.param(
            zips_for(INTEL),
            ["--param=architecture=arm64"],
            "run `make package ARCH=arm64` first",
            id="another",
        ),
    ],
)
def test_without_a_package_nothing_is_deployed(
    tmp_path: Path, put: Callable[[Path], None], given: list[str], fix: str
) -> None:
    """Where the zip is missing, the error names the command that makes it."""
    put(tmp_path)

    with pytest.raises(NoPackageError, match=fix):
        for_package(["deploy", *given], tmp_path)


def test_an_unknown_property_is_refused(tmp_path: Path) -> None:
    """A misspelt key of serverless.yml is an error, so what it says is what is deployed."""
    service = service_folder(tmp_path)
    text = (ROOT / "serverless.yml").read_text()
    assert "batchSize:" in text
    (service / "serverless.yml").write_text(text.replace("batchSize:", "batchsize:"))

    done = osls("package", *parameters(BARE), service=service)

    assert done.returncode != 0
    assert "unrecognized property 'batchsize'" in done.stdout


def test_the_guide_explains_every_parameter() -> None:
    """docs/stack.md has each parameter, with its default."""
    section = GUIDE.partition("\n## Parameters\n")[2].partition("\n## ")[0]
    explained = dict(re.findall(r"^\| `([a-z-]+)` \| (?:`([^`]*)`)?[^|]*\|", section, re.MULTILINE))

    given = parameters_of((ROOT / "serverless.yml").read_text())
    assert given.pop("bucket-account") == "{Ref: 'AWS::AccountId'}"
    assert {"bucket": "", "bucket-account": "", **given} == explained


def test_the_guide_explains_every_permission_and_alarm() -> None:
    """docs/access.md has a line for each action of the role, docs/stack.md for each alarm."""
    actions = {*READ, *(action for action, _ in ALWAYS | ON_DEMAND)}

    assert actions == set(re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", GUIDE))
    assert set(ALARMS) <= set(re.findall(r"^\| `([a-z-]+)` \|", GUIDE, re.MULTILINE))
    assert f" {len(ALARMS)} alarms, one dashboard " in GUIDE  # which cost something


# Least privilege


def test_the_role_allows_exactly_this(bare: Template) -> None:
    """The role has these grants, each once, and not one more."""
    assert Counter(ALWAYS | {(each, BARE_KEYS) for each in READ}) == grants_of(bare)


def test_the_role_with_all_options_allows_exactly_this(full: Template) -> None:
    """A parameter adds the grant that it needs, and nothing else."""
    keys = {(each, FULL_KEYS) for each in READ}

    assert Counter(ALWAYS | ON_DEMAND | keys) == grants_of(full)


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


@pytest.mark.parametrize(
    ("keys", "prefix"),
    [
        pytest.param(BARE_KEYS, "", id="default"),
        pytest.param(FULL_KEYS, "alb/", id="prefix"),
        pytest.param(FULL_KEYS, "alb/team/prod/", id="prefixes"),
    ],
)
def test_every_log_may_be_read(keys: str, prefix: str) -> None:
    """Whatever AWS calls the folders of an account, the role reaches its logs."""
    for account in ("123456789012", "aws-account-id=123456789012", "o-a1b2c3d4e5/123456789012"):
        for region in ("eu-central-1/2026/09/10", "region=eu-central-1/year=2026", "by/team/x"):
            folder = f"{prefix}AWSLogs/{account}/elasticloadbalancing/{region}"
            assert matches(f"{BUCKET}/{folder}/object.log.gz", keys)


@pytest.mark.parametrize(
    "key",
    [
        "AWSLogs/123456789012/CloudTrail/eu-central-1/2026/09/10/trail.json.gz",
        "AWSLogs/123456789012/vpcflowlogs/eu-central-1/2026/09/10/flow.log.gz",
        "AWSLogs/123456789012/ELBAccessLogTestFile",
        "finance/salaries.csv",
        "finance/AWSLogs/123456789012/CloudTrail/trail.json.gz",
        "alb/finance/salaries.csv",
        "elasticloadbalancing/object.log.gz",
        "alb/elasticloadbalancing/object.log.gz",
    ],
)
def test_nothing_else_may_be_read(key: str) -> None:
    """What else lies in the bucket is out of reach, for whoever may send to the queue, too."""
    assert not any(matches(f"{BUCKET}/{key}", keys) for keys in (BARE_KEYS, FULL_KEYS))


def matches(resource: str, pattern: str) -> bool:
    """Return whether a pattern of IAM, whose stars stand for slashes too, holds a resource."""
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), resource))


@pytest.mark.parametrize("prefix", ["/AWSLogs/", "*", "alb/?/", "AWSLogs/123456789012/", "AWSLogs"])
def test_a_prefix_that_would_widen_the_role_is_not_deployed(tmp_path: Path, prefix: str) -> None:
    """The prefix ends before AWSLogs/ or with it, and holds no star of its own."""
    given = parameters({**BARE, "log-prefix": prefix})
    done = osls("package", "--stage", STAGE, *given, service=service_folder(tmp_path))

    assert done.returncode != 0
    assert f"log-prefix: '{prefix}' must be how keys begin" in done.stdout + done.stderr


def test_every_star_has_its_reason(full: Template) -> None:
    """No action has a star, no resource but those that AWS cannot name more narrowly."""
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
    """An event that S3, SNS or EventBridge could not deliver is handed to the main queue."""
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
    """What a user does not set has the pipeline's own default."""
    queue = {"ALB_LOGS_QUEUE_URL": "(Queue)"}
    given = function["Environment"]["Variables"]

    assert queue == {name: value for name, value in given.items() if "(" in value}
    assert Config(es_url=(BARE["es-url"],)) == Config.from_env(
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


# Who is notified


def test_the_alarms(bare: Template) -> None:
    """Each cause for alarm has its alarm, which notifies the topic when it begins and ends."""
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
    assert f"\n### {name}\n" in runbook
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
    """Objects must fail for 20 of 30 minutes; a message that names no object alarms at once."""
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
