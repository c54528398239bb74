"""What a web machine of the image asks AWS for: its address, its API key, Caddy's certificates."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest

from ami import address, certificates
from ami.certificates import KEPT, NOTE, OWN_ROOT, ROOT, Bucket
from ami.secret import api_keys
from bench.emulators import IMAGE, AccountEmulator
from bench.local import awaited
from facefleet.errors import BadMessage, BadSettings, Unavailable

Storage = Callable[..., Path]


@pytest.fixture
def account(one_account: AccountEmulator, monkeypatch: pytest.MonkeyPatch) -> AccountEmulator:
    for name, value in one_account.env.items():
        monkeypatch.setenv(name, value)
    return one_account


# The address


@pytest.fixture
def ec2(account: AccountEmulator) -> Any:
    return boto3.client("ec2")


@pytest.fixture
def allocation(ec2: Any) -> Iterator[str]:
    id = ec2.allocate_address(Domain="vpc")["AllocationId"]
    yield id
    ec2.release_address(AllocationId=id)


@pytest.fixture
def launched(ec2: Any, account: AccountEmulator) -> Callable[[], str]:
    def launch() -> str:
        asked = {"ImageId": IMAGE, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
        id: str = ec2.run_instances(**asked)["Instances"][0]["InstanceId"]
        awaited(lambda: address.instances(ec2, [id])[id].state == "running", f"{id} is running")
        return id

    return launch


def test_the_first_takes_the_address_and_keeps_it(ec2: Any, allocation: str, launched: Callable[[], str]) -> None:
    one = launched()
    assert address.take(ec2, allocation, one)
    assert address.take(ec2, allocation, one)
    assert address.holder_of(ec2, allocation) == one


def test_the_younger_takes_it_from_the_older_and_not_the_other_way_round(
    ec2: Any, allocation: str, launched: Callable[[], str]
) -> None:
    old, young = sorted([launched(), launched()], key=lambda id: (address.instances(ec2, [id])[id].launched, id))
    assert address.take(ec2, allocation, old)
    assert address.take(ec2, allocation, young)
    assert not address.take(ec2, allocation, old)
    assert address.holder_of(ec2, allocation) == young


def test_what_a_younger_one_left_behind_is_taken(ec2: Any, allocation: str, launched: Callable[[], str]) -> None:
    old, young = sorted([launched(), launched()], key=lambda id: (address.instances(ec2, [id])[id].launched, id))
    address.take(ec2, allocation, young)
    ec2.terminate_instances(InstanceIds=[young])
    assert address.take(ec2, allocation, old)


def test_an_address_that_is_gone_is_not_asked_for_for_ever(ec2: Any, launched: Callable[[], str]) -> None:
    with pytest.raises(Unavailable, match="eipalloc-0 cannot be taken"):
        address.taken(ec2, "eipalloc-0", launched(), patience=0.1)


# The API key


@pytest.fixture
def secret(account: AccountEmulator) -> Callable[[str], str]:
    client = boto3.client("secretsmanager")
    return lambda value: str(client.create_secret(Name=f"key-{uuid4().hex}", SecretString=value)["ARN"])


def test_the_api_key_comes_from_its_secret(secret: Callable[[str], str]) -> None:
    arn = secret('{"key": "k3y", "scopes": "recognise+enrol+admin"}')
    assert api_keys(arn, region="us-east-1") == "k3y:recognise+enrol+admin"


@pytest.mark.parametrize(
    "value", ["k3y", "[]", '{"key": "k3y"}', '{"key": "k3y\\nA=b", "scopes": "admin"}', '{"key": 3, "scopes": "admin"}']
)
def test_what_is_no_key_is_not_taken_for_one_nor_told(secret: Callable[[str], str], value: str) -> None:
    with pytest.raises(BadSettings, match="write it anew") as refused:
        api_keys(secret(value), region="us-east-1")
    assert "k3y" not in str(refused.value)


def test_a_secret_that_cannot_be_read_is_not_waited_for_for_ever(account: AccountEmulator) -> None:
    with pytest.raises(Unavailable, match="may this machine's role read it"):
        api_keys("arn:aws:secretsmanager:us-east-1:123456789012:secret:none-abcdef", region="us-east-1", patience=0.1)


# Certificates


@pytest.fixture
def bucket(account: AccountEmulator) -> Bucket:
    s3, name = boto3.client("s3"), f"state-{uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return Bucket(s3, name)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """As Caddy leaves it, whose authority is this."""

    def make(machine: str, root: str = "") -> Path:
        folder = tmp_path / machine
        folder.mkdir()
        if root:
            (folder / OWN_ROOT).parent.mkdir(parents=True)
            (folder / OWN_ROOT).write_text(root)
        return folder

    return make


def never() -> None:
    pytest.fail("Caddy has no reason to start again")


def blob(bucket: Bucket, key: str) -> bytes:
    body: bytes = bucket._s3.get_object(Bucket=bucket._name, Key=key)["Body"].read()
    return body


def test_the_next_machine_has_the_same_authority(bucket: Bucket, storage: Storage) -> None:
    first = storage("first", "the root")
    certificates.keep(bucket, first, never)
    next = storage("next")
    certificates.restore(bucket, next)
    assert (next / OWN_ROOT).read_text() == "the root"
    certificates.keep(bucket, next, never)


def test_clients_find_the_root_and_not_its_key(bucket: Bucket, storage: Storage) -> None:
    first = storage("first", "the root")
    (first / OWN_ROOT).with_suffix(".key").write_text("the key")
    certificates.keep(bucket, first, never)
    assert blob(bucket, ROOT) == b"the root"


def test_what_has_not_changed_is_not_written_again(bucket: Bucket, storage: Storage) -> None:
    first = storage("first", "the root")
    certificates.keep(bucket, first, never)
    note = (first / NOTE).read_text()
    bucket._s3.delete_object(Bucket=bucket._name, Key=KEPT)
    certificates.keep(bucket, first, never)
    assert (first / NOTE).read_text() == note
    assert bucket.get() is None


def test_a_new_certificate_is_kept_over_the_one_before(bucket: Bucket, storage: Storage) -> None:
    first = storage("first", "the root")
    certificates.keep(bucket, first, never)
    (first / "certificates").mkdir()
    (first / "certificates/new.crt").write_text("new")
    certificates.keep(bucket, first, never)
    certificates.restore(bucket, next := storage("next"))
    assert (next / "certificates/new.crt").read_text() == "new"


def test_of_two_new_machines_the_second_takes_over_what_the_first_kept(bucket: Bucket, storage: Storage) -> None:
    """Both made an authority of their own; clients shall know one."""
    first, second = storage("first", "one"), storage("second", "another")
    certificates.keep(bucket, first, never)
    restarts: list[int] = []
    certificates.keep(bucket, second, lambda: restarts.append(1))
    assert ((second / OWN_ROOT).read_text(), restarts) == ("one", [1])
    assert blob(bucket, ROOT) == b"one"
    certificates.keep(bucket, second, never)


def test_killed_before_it_noted_that_it_kept_it_has_kept_it(bucket: Bucket, storage: Storage) -> None:
    first = storage("first", "the root")
    certificates.keep(bucket, first, never)
    (first / NOTE).unlink()
    bucket._s3.delete_object(Bucket=bucket._name, Key=ROOT)
    certificates.keep(bucket, first, never)
    assert blob(bucket, ROOT) == b"the root"


def test_deleted_by_hand_it_is_kept_anew_at_the_next_change(bucket: Bucket, storage: Storage) -> None:
    first = storage("first", "the root")
    certificates.keep(bucket, first, never)
    bucket._s3.delete_object(Bucket=bucket._name, Key=KEPT)
    (first / "acme").mkdir()
    (first / "acme/account.json").write_text("{}")
    certificates.keep(bucket, first, never)
    assert bucket.get() is not None


def test_a_machine_that_boots_again_goes_on_with_what_it_has(bucket: Bucket, storage: Storage) -> None:
    first = storage("first", "the root")
    certificates.keep(bucket, first, never)
    (first / "pki/newer").write_text("not kept yet")
    certificates.restore(bucket, first)
    assert (first / "pki/newer").exists()


def test_without_an_answer_nobody_goes_on(account: AccountEmulator, storage: Storage) -> None:
    nowhere = Bucket(boto3.client("s3"), f"none-{uuid4().hex}")
    with pytest.raises(Unavailable, match="certificates cannot be carried"):
        certificates.restore(nowhere, storage("first"))


def test_what_is_damaged_in_the_bucket_is_said(bucket: Bucket, storage: Storage) -> None:
    bucket.put(b"nonsense", None)
    with pytest.raises(BadMessage, match="bring an older version back"):
        certificates.restore(bucket, storage("first"))
