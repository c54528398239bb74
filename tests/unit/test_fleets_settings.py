"""`FACEFLEET_FLEETS`: which clouds, in which order, and how many instances of each."""

import pytest

from facefleet.errors import BadSettings
from facefleet.settings import EC2_LEAST_BILL, EC2_MAX_INSTANCES, Settings


def settings_of(fleets: str, **others: str) -> Settings:
    given = {"BACKEND": "aws", "FLEETS": fleets, **others}
    return Settings.from_env({f"FACEFLEET_{name}": value for name, value in given.items()})


@pytest.mark.parametrize(
    ("text", "clouds"),
    [
        ("openstack:5,ec2:19", {"openstack": 5, "ec2": 19}),
        (" ec2:1 , openstack:20 ", {"ec2": 1, "openstack": 20}),
        ("openstack:5", {"openstack": 5}),
        ("", {}),
        ("  ", {}),
    ],
)
def test_clouds_are_named_in_their_order_each_with_its_most(text: str, clouds: dict[str, int]) -> None:
    assert list(settings_of(text).clouds.items()) == list(clouds.items())


@pytest.mark.parametrize(
    "text",
    [
        "azure:3",
        "openstack",
        "openstack:",
        "openstack:0",
        "openstack:-1",
        "openstack:many",
        "openstack:1.5",
        "openstack:٣",
        "openstack:1000000",
        "openstack:5,openstack:3",
        "openstack:5,",
        ",",
        "openstack:5;ec2:19",
        "OpenStack:5",
        "openstack: 5:ec2",
    ],
)
def test_what_is_not_so_written_is_refused_and_it_is_told_how_to_write_it(text: str) -> None:
    with pytest.raises(BadSettings, match=r"FACEFLEET_FLEETS .*`openstack:5,ec2:19`, not"):
        settings_of(text)


def test_several_clouds_need_queues_that_all_of_them_reach() -> None:
    with pytest.raises(BadSettings, match="FACEFLEET_BACKEND=aws"):
        settings_of("openstack:5,ec2:19", BACKEND="embedded")


def test_there_are_as_many_instances_at_most_as_all_have_together_and_no_more_than_is_set() -> None:
    assert settings_of("openstack:5,ec2:19").instances_at_most == 24
    assert settings_of("openstack:5,ec2:19", MAX_INSTANCES="7").instances_at_most == 7
    assert settings_of("openstack:5,ec2:19", MAX_INSTANCES="70").instances_at_most == 24
    assert settings_of("").instances_at_most == EC2_MAX_INSTANCES


def test_only_ec2_is_paid_for_by_the_minute() -> None:
    assert settings_of("openstack:5").least_seconds_billed == 0.0
    assert settings_of("openstack:5,ec2:1").least_seconds_billed == EC2_LEAST_BILL
    assert settings_of("").least_seconds_billed == EC2_LEAST_BILL
    assert settings_of("openstack:5", LEAST_BILL="9").least_seconds_billed == 9.0
