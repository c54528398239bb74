"""What a deployment is to be: what is given now, over what was given before; and what cannot be."""

import json
from dataclasses import replace
from typing import Any

import pytest

from facefleet.backends.aws.account.deployment import Wish, wish_of
from facefleet.backends.aws.account.prechecks import check_words
from facefleet.backends.aws.account.resources import Verb
from facefleet.backends.aws.account.rollout import Action, Stage
from facefleet.backends.aws.account.rollout import Verb as Deed
from facefleet.backends.aws.account.stack_told import Change, Event, Planned, as_change, first_reason, losing
from facefleet.backends.aws.account.templates import Options, fleet_parameters, store_parameters
from facefleet.cli.plans import in_words, row_of, rows
from facefleet.errors import BadSettings
from facefleet.settings import Settings

OUTPUTS = {"ApiKeySecret": "arn:aws:secretsmanager:x", "AlarmTopic": "arn:aws:sns:x"}
IMAGE = {"image": "ami-1"}


def standing(wish: Wish) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters of both stacks once it was deployed."""
    fleet = fleet_parameters(wish.settings, wish.options, OUTPUTS, region="us-east-1")
    return store_parameters(wish.settings, wish.options), fleet


def test_what_is_not_given_again_stays_as_it_was() -> None:
    env = {"FACEFLEET_MAX_INSTANCES": "5", "FACEFLEET_STATE_BUCKET": "mine"}
    first = wish_of("facefleet", ({}, {}), env, IMAGE | {"domain": "faces.example.org"})
    again = wish_of("facefleet", standing(first), {"FACEFLEET_SPOT_SHARE": "0.5"}, {"budget": 20.0})
    assert (again.settings.max_instances, again.settings.state_bucket, again.settings.spot_share) == (5, "mine", 0.5)
    assert (again.options.image, again.options.domain, again.options.budget) == ("ami-1", "faces.example.org", 20.0)


def test_a_setting_that_is_given_empty_is_the_default_again() -> None:
    first = wish_of("facefleet", ({}, {}), {"FACEFLEET_MAX_INSTANCES": "5"}, IMAGE)
    again = wish_of("facefleet", standing(first), {"FACEFLEET_MAX_INSTANCES": ""}, {})
    assert again.settings.max_instances is None


def test_names_outlast_the_fleet() -> None:
    """So that whoever deploys again after a destruction finds what was kept."""
    first = wish_of("facefleet", ({}, {}), {"FACEFLEET_PEOPLE_TABLE": "everybody"}, IMAGE)
    store, _ = standing(first)
    assert wish_of("facefleet", (store, {}), {}, IMAGE).settings.people_table == "everybody"


def test_another_image_leaves_the_one_before_to_go_back_to() -> None:
    first = wish_of("facefleet", ({}, {}), {}, IMAGE)
    second = wish_of("facefleet", standing(first), {}, {"image": "ami-2"})
    assert (first.options.previous_image, second.options.previous_image) == ("", "ami-1")
    again = wish_of("facefleet", standing(second), {}, {"image": "ami-2"})
    assert again.options.previous_image == "ami-1", "the same once more forgets nothing"


def test_without_an_image_there_is_nothing_to_deploy() -> None:
    with pytest.raises(BadSettings, match="--image"):
        wish_of("facefleet", ({}, {}), {}, {})


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"FACEFLEET_API_KEYS": "secret:admin"}, "made in Secrets Manager"),
        ({"FACEFLEET_SUBNETS": "subnet-1"}, "a network of its own"),
        ({"FACEFLEET_AUTO_SCALING_GROUP": "mine"}, "launches its workers itself"),
        ({"FACEFLEET_BACKEND": "embedded"}, "FACEFLEET_BACKEND=aws"),
    ],
)
def test_settings_that_cannot_work_on_a_deployment_are_refused(env: dict[str, str], words: str) -> None:
    with pytest.raises(BadSettings, match=words) as refusal:
        wish_of("facefleet", ({}, {}), env, IMAGE)
    assert "secret:admin" not in str(refusal.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"domain": "https://faces.example.org"},
        {"domain": "203.0.113.5"},
        {"domain": "localhost"},
        {"name": "Face_Fleet"},
        {"name": "f" * 32},
        {"budget": -1.0},
    ],
    ids=str,
)
def test_words_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    options = Options(**({"image": "ami-1"} | wrong))
    with pytest.raises(BadSettings, match="--"):
        check_words(Wish(Settings(backend="aws"), options))
    check_words(Wish(Settings(backend="aws"), Options("ami-1", domain="faces.example.org", budget=0.0)))


def change(**told: Any) -> Change:
    plain = {"Action": "Modify", "LogicalResourceId": "People", "ResourceType": "AWS::DynamoDB::Table"}
    return as_change(plain | told)


@pytest.mark.parametrize("replacement", ["True", "Conditional"])
def test_what_holds_something_is_lost_if_it_is_made_anew_or_removed(replacement: str) -> None:
    assert losing([change(Replacement=replacement)]) == ("People",)
    assert losing([change(Action="Remove")]) == ("People",)
    assert losing([change(Replacement="False"), change(Action="Add")]) == ()
    assert losing([change(Replacement=replacement, ResourceType="AWS::EC2::LaunchTemplate")]) == ()


def test_a_change_says_what_it_is_about_once() -> None:
    details = [{"Target": {"Attribute": "Properties", "Name": "Tags"}}] * 2 + [{"Target": {"Attribute": "Metadata"}}]
    assert change(Details=details).about == ("Tags", "Metadata")


def test_the_first_reason_is_the_reason() -> None:
    events = [Event("A", "AWS::X", "CREATE_FAILED", "no room"), Event("B", "AWS::Y", "CREATE_FAILED", "cancelled")]
    assert first_reason(events, None) == "A (AWS::X): no room"
    assert first_reason([], None) == "it is gone"


def test_a_plan_has_a_line_for_a_new_stack_and_one_for_each_change_of_one_that_stands() -> None:
    those = (Change("A", "AWS::S3::Bucket", Verb.MAKE), Change("B", "AWS::S3::Bucket", Verb.MAKE, ("Tags",)))
    (made,) = rows(Planned("x-store", Verb.MAKE, those))
    assert (made.what, made.why) == ("stack x-store", "2 S3::Bucket")
    changed = rows(Planned("x-store", Verb.CHANGE, (replace(those[0], verb=Verb.CHANGE, about=("Tags", "Name")),)))
    assert [(row.verb, row.what, row.why) for row in changed] == [(Verb.CHANGE, "x-store: A", "Tags, Name")]
    assert rows(Planned("x-store", Verb.FINE))[0].verb is Verb.FINE
    assert json.dumps([row.verb for row in changed]) == '["change"]'


def test_a_step_is_told_in_words() -> None:
    assert (
        in_words(Action(Deed.WAIT, Stage.WEB, "i-1", "it comes up")) == "the web tier: waiting until it comes up (i-1)"
    )
    assert in_words(Action(Deed.RETIRE, Stage.WEB, "i-1")) == "the web tier: end i-1"
    assert row_of(Action(Deed.DONE, Stage.END)).verb is Verb.FINE
