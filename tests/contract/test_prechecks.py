"""What would fail in the middle of a deployment is told before it begins."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from bench.emulators import AccountEmulator
from facefleet.backends.aws.account.deployment import Account, Wish
from facefleet.backends.aws.account.prechecks import check_account
from facefleet.backends.aws.account.templates import Options
from facefleet.errors import BadSettings

from .conftest import aws


@pytest.fixture
def account(one_account: AccountEmulator, monkeypatch: pytest.MonkeyPatch) -> Account:
    for name, value in one_account.env.items():
        monkeypatch.setenv(name, value)
    return Account(f"checked-{uuid4().hex[:8]}")


@pytest.fixture
def wish(account: Account, tmp_path: Path) -> Wish:
    """One that can be."""
    image = account.clients.ec2.register_image(Name=uuid4().hex, Architecture="x86_64", RootDeviceName="/dev/xvda")
    return Wish(aws(tmp_path), Options(image["ImageId"], account.name))


def test_what_can_be_is_let_through(account: Account, wish: Wish) -> None:
    check_account(account, wish)


def test_an_image_that_there_is_not_is_named_with_its_region(account: Account, wish: Wish) -> None:
    with pytest.raises(BadSettings, match=r"ami-0123456789abcdef0 in us-east-1.*ami/README"):
        check_account(account, replace(wish, options=replace(wish.options, image="ami-0123456789abcdef0")))


@pytest.mark.parametrize("option", ["web_type", "controller_type"])
def test_types_that_cannot_run_the_image_are_named(account: Account, wish: Wish, option: str) -> None:
    with pytest.raises(BadSettings, match=r"for x86_64, and c7g\.large cannot run it"):
        check_account(account, replace(wish, options=replace(wish.options, **{option: "c7g.large"})))


def test_workers_types_count_too(account: Account, wish: Wish) -> None:
    settings = replace(wish.settings, instance_types="t3.medium, t4g.small")
    with pytest.raises(BadSettings, match=r"t4g\.small cannot run it"):
        check_account(account, replace(wish, settings=settings))


def test_a_type_that_there_is_not_is_told(account: Account, wish: Wish) -> None:
    with pytest.raises(BadSettings, match=r"t3\.gigantic"):
        check_account(account, replace(wish, options=replace(wish.options, web_type="t3.gigantic")))


def test_names_that_are_taken_on_the_account_are_told_with_what_to_do(account: Account, wish: Wish) -> None:
    account.clients.s3.create_bucket(Bucket=wish.settings.input_bucket)
    account.clients.sqs.create_queue(QueueName=wish.settings.request_queue)
    with pytest.raises(BadSettings, match=rf"queue {wish.settings.request_queue}, bucket {wish.settings.input_bucket}"):
        check_account(account, wish)
