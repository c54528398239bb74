"""What `facefleet relay setup` makes: queues, and a bucket that really tells one of them what came."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench import emulators
from bench.local import awaited
from facefleet.backends.aws.account.relay import plan, removal
from facefleet.backends.aws.account.resources import Verb, apply
from facefleet.backends.aws.account.wanted import MADE_BY, SETUP
from facefleet.backends.aws.clients import Clients, connect_clients
from facefleet.cli.relay_setup import setup
from facefleet.errors import BadSettings
from facefleet.settings import Settings

from .bare import make_bare
from .conftest import aws

Run = Callable[..., Result]


@pytest.fixture
def settings(store: emulators.Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in store.env.items():
        monkeypatch.setenv(name, value)
    settings = aws(tmp_path)
    own = settings.request_queue.removeprefix("requests-")
    return replace(settings, relay_input=f"arrivals-{own}", relay_output=f"results-{own}")


@pytest.fixture
def clients(settings: Settings) -> Clients:
    clients = connect_clients()
    make_bare(clients, settings)
    return clients


def verbs(clients: Clients, settings: Settings) -> dict[str, Verb]:
    return {
        one.what.split("-")[0] + ("-dead" * one.what.endswith("-dead")): one.verb for one in plan(clients, settings)
    }


def attributes(clients: Clients, name: str) -> dict[str, str]:
    url = clients.sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return dict(clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"])


def told(clients: Clients, settings: Settings) -> dict[str, Any]:
    answer = clients.s3.get_bucket_notification_configuration(Bucket=settings.input_bucket)
    return {name: value for name, value in answer.items() if name.endswith("Configurations") and value}


def names(clients: Clients, settings: Settings) -> set[str]:
    # Other tests' queues are there, too, and more than one answer holds.
    pages = clients.sqs.get_paginator("list_queues").paginate(MaxResults=1000)
    own = settings.relay_input.removeprefix("arrivals-")
    found = {url.rpartition("/")[2] for page in pages for url in page.get("QueueUrls", ())}
    return {name.replace(f"-{own}", "") for name in found if own in name and name.startswith(("arrivals", "results"))}


def test_twice_is_once(clients: Clients, settings: Settings) -> None:
    assert set(verbs(clients, settings).values()) == {Verb.MAKE}
    apply(plan(clients, settings))
    assert set(verbs(clients, settings).values()) == {Verb.FINE}
    assert names(clients, settings) == {"arrivals", "arrivals-dead", "results", "results-dead"}


def test_an_object_that_comes_is_told_to_the_queue(clients: Clients, settings: Settings) -> None:
    apply(plan(clients, settings))
    clients.s3.put_object(Bucket=settings.input_bucket, Key="a b.mp4", Body=b"clip")
    url = clients.sqs.get_queue_url(QueueName=settings.relay_input)["QueueUrl"]

    def came() -> list[str]:
        found = clients.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", ())
        events = [json.loads(one["Body"]) for one in found]
        return [one["s3"]["object"]["key"] for event in events for one in event.get("Records", ())]

    assert awaited(came, "S3 tells of it", seconds=30) == ["a+b.mp4"]


def test_s3_of_just_this_bucket_and_account_may_send(clients: Clients, settings: Settings) -> None:
    apply(plan(clients, settings))
    found = attributes(clients, settings.relay_input)
    assert json.loads(found["Policy"])["Statement"] == [
        {
            "Sid": "FacefleetRelay",
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": found["QueueArn"],
            "Condition": {
                "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{settings.input_bucket}"},
                "StringEquals": {"aws:SourceAccount": "000000000000"},
            },
        }
    ]
    assert found["SqsManagedSseEnabled"] == "true"
    assert found["MessageRetentionPeriod"] == str(7 * 24 * 3600)


def test_both_queues_give_up_to_dead_letters_of_their_own_and_late(clients: Clients, settings: Settings) -> None:
    apply(plan(clients, settings))
    for name in (settings.relay_input, settings.relay_output):
        redrive = json.loads(attributes(clients, name)["RedrivePolicy"])
        assert redrive["deadLetterTargetArn"].endswith(f":{name}-dead")
        assert int(redrive["maxReceiveCount"]) == 1000


@pytest.mark.parametrize("way", ["fleet", "itself"])
def test_ways_that_bring_results_home_themselves_need_no_output_queue(
    clients: Clients, settings: Settings, way: str
) -> None:
    apply(plan(clients, replace(settings, relay_by=way)))
    assert names(clients, settings) == {"arrivals", "arrivals-dead"}


def test_what_others_are_told_and_allowed_stays(clients: Clients, settings: Settings) -> None:
    another = clients.sqs.create_queue(QueueName=f"{settings.relay_input}-of-others")["QueueUrl"]
    arn = clients.sqs.get_queue_attributes(QueueUrl=another, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    theirs = {"Id": "theirs", "QueueArn": arn, "Events": ["s3:ObjectRemoved:*"]}
    clients.s3.put_bucket_notification_configuration(
        Bucket=settings.input_bucket, NotificationConfiguration={"QueueConfigurations": [theirs]}
    )
    statement = {"Sid": "Theirs", "Effect": "Allow", "Principal": "*", "Action": "sqs:GetQueueUrl", "Resource": "*"}
    apply(plan(clients, settings))
    url = clients.sqs.get_queue_url(QueueName=settings.relay_input)["QueueUrl"]
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    clients.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    assert verbs(clients, settings)["queue arrivals"] is Verb.CHANGE
    apply(plan(clients, settings))
    statements = json.loads(attributes(clients, settings.relay_input)["Policy"])["Statement"]
    assert [one["Sid"] for one in statements] == ["Theirs", "FacefleetRelay"]
    assert [one["Id"] for one in told(clients, settings)["QueueConfigurations"]] == ["theirs", "facefleet-relay"]
    apply(removal(clients, settings))
    assert [one["Id"] for one in told(clients, settings)["QueueConfigurations"]] == ["theirs"]


@pytest.mark.parametrize("events", [["s3:ObjectCreated:*"], ["s3:ObjectRemoved:*", "s3:ObjectCreated:Put"]])
def test_a_bucket_that_tells_somebody_else_of_new_objects_is_refused_by_name(
    clients: Clients, settings: Settings, events: list[str]
) -> None:
    another = clients.sqs.create_queue(QueueName=f"{settings.relay_input}-of-others")["QueueUrl"]
    arn = clients.sqs.get_queue_attributes(QueueUrl=another, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rules = {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".mp4"}]}}
    theirs = {"Id": "theirs", "QueueArn": arn, "Events": events, "Filter": rules}
    clients.s3.put_bucket_notification_configuration(
        Bucket=settings.input_bucket, NotificationConfiguration={"QueueConfigurations": [theirs]}
    )
    with pytest.raises(BadSettings, match=arn):
        plan(clients, settings)


def test_a_bucket_that_is_not_there_is_named_with_what_makes_it(clients: Clients, settings: Settings) -> None:
    with pytest.raises(BadSettings, match="facefleet setup"):
        plan(clients, replace(settings, input_bucket="nobodys-bucket"))


def test_what_is_removed_is_what_it_made_and_no_more(clients: Clients, settings: Settings) -> None:
    url = clients.sqs.create_queue(QueueName=settings.relay_output, tags={MADE_BY: SETUP})["QueueUrl"]
    apply(plan(clients, settings))
    apply(removal(clients, settings))
    assert names(clients, settings) == {"results"}, "the function's, which somebody else made"
    assert told(clients, settings) == {}
    assert [one.verb for one in removal(clients, settings)] == [Verb.LEAVE]
    clients.sqs.delete_queue(QueueUrl=url)


def test_a_queue_of_another_name_takes_the_notification_over(clients: Clients, settings: Settings) -> None:
    apply(plan(clients, settings))
    renamed = replace(settings, relay_input=f"{settings.relay_input}-2")
    apply(plan(clients, renamed))
    (only,) = told(clients, settings)["QueueConfigurations"]
    assert only["QueueArn"].endswith(renamed.relay_input)


# ---- The command ----


@pytest.fixture
def run(settings: Settings) -> Run:
    def run(*args: str, input: str = "") -> Result:
        return CliRunner().invoke(setup, args, obj=settings, input=input)

    return run


def test_a_dry_run_shows_what_would_be_done_and_does_nothing(clients: Clients, settings: Settings, run: Run) -> None:
    shown = run("--dry-run")
    assert "5 to do; nothing was done" in shown.output
    assert names(clients, settings) == set()


def test_it_asks_before_it_does_anything(clients: Clients, settings: Settings, run: Run) -> None:
    assert run(input="n\n").exit_code == 1
    assert names(clients, settings) == set()
    assert "5 done" in run(input="y\n").output
    assert "all is fine" in run().output


def test_a_removal_asks_too_and_says_that_messages_go(clients: Clients, settings: Settings, run: Run) -> None:
    run("--yes")
    refused = run("--remove", input="n\n")
    assert "with all messages" in refused.output and names(clients, settings) != set()
    assert "5 done" in run("--remove", "--yes").output
    assert names(clients, settings) == set()


def test_scripts_are_told_in_json(clients: Clients, settings: Settings, run: Run) -> None:
    steps = json.loads(run("--yes", "--json").output)["steps"]
    assert [step["verb"] for step in steps] == ["make"] * 5 and all(step["done"] for step in steps)
    assert run("--json").exit_code == 2


def test_one_machine_has_no_such_queues(tmp_path: Path) -> None:
    shown = CliRunner().invoke(setup, ["--dry-run"], obj=Settings(data=tmp_path))
    assert isinstance(shown.exception, BadSettings) and "FACEFLEET_BACKEND=aws" in str(shown.exception)
