"""Who leads, by what S3 holds of the fleet's status: never by the last word of a controller that is on its way out."""

import io
import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from facefleet.backends.aws.account.leads import Leads
from facefleet.backends.aws.account.rollout import Group, Machine

OLD = Machine("old", fits=False, is_up=True, launched_at=1000.0)
NEW = Machine("new", fits=True, is_up=True, launched_at=2000.0)
#: Before there was another to be made.
FITS = Machine("old", fits=True, is_up=True, launched_at=1000.0)


class S3:
    """A status of this epoch, told and looked at at these times."""

    def __init__(self) -> None:
        self.told: tuple[int, float, float] = (0, 0.0, 0.0)

    def get_object(self, **_: str) -> dict[str, Any]:
        epoch, told_at, now = self.told
        date = format_datetime(datetime.fromtimestamp(now, UTC), usegmt=True)
        return {
            "Body": io.BytesIO(json.dumps({"epoch": epoch}).encode()),
            "LastModified": datetime.fromtimestamp(told_at, UTC),
            "ResponseMetadata": {"HTTPHeaders": {"date": date}},
        }


@pytest.fixture
def s3() -> S3:
    return S3()


@pytest.fixture
def leads(s3: S3) -> Leads:
    return Leads(s3, "state")


def asked(leads: Leads, s3: S3, told: tuple[int, float, float], *machines: Machine, has_changed: bool = True) -> bool:
    s3.told = told
    return leads.now(Group(machines), has_changed=has_changed)


def test_one_that_leads_and_is_left_as_it_is_does_while_it_tells(leads: Leads, s3: S3) -> None:
    assert asked(leads, s3, (5, 1900.0, 1910.0), FITS, has_changed=False)
    assert not asked(leads, s3, (5, 1900.0, 1990.0), FITS, has_changed=False)


def test_the_last_word_of_one_that_goes_is_not_taken_for_the_new_ones(leads: Leads, s3: S3) -> None:
    assert asked(leads, s3, (5, 1900.0, 1910.0), FITS, has_changed=False)
    assert not asked(leads, s3, (5, 2010.0, 2011.0), OLD, NEW)
    # The old one was told to go, and still writes.
    assert not asked(leads, s3, (5, 2020.0, 2021.0), NEW)
    assert asked(leads, s3, (6, 2030.0, 2031.0), NEW)


def test_one_that_took_over_while_there_were_two_leads(leads: Leads, s3: S3) -> None:
    assert asked(leads, s3, (5, 1900.0, 1910.0), FITS, has_changed=False)
    assert not asked(leads, s3, (6, 2010.0, 2011.0), OLD, NEW)
    assert asked(leads, s3, (6, 2010.0, 2021.0), NEW)


def test_on_the_way_back_the_one_that_led_all_the_time_need_not_tell_anew(leads: Leads, s3: S3) -> None:
    assert asked(leads, s3, (5, 1990.0, 1991.0), FITS, has_changed=False)
    assert not asked(leads, s3, (5, 2010.0, 2011.0), OLD, NEW)
    assert asked(leads, s3, (5, 2010.0, 2020.0), FITS)


def test_whoever_runs_it_again_takes_what_is_told_once_there_is_but_one(leads: Leads, s3: S3) -> None:
    """It was killed while there were two, and the new one led by then."""
    assert not asked(leads, s3, (6, 2100.0, 2101.0), OLD, NEW, has_changed=False)
    assert not asked(leads, s3, (6, 2100.0, 2105.0), NEW)
    assert asked(leads, s3, (6, 2110.0, 2111.0), NEW)


def test_one_that_does_not_fit_is_not_up_or_not_there_does_not_lead(leads: Leads, s3: S3) -> None:
    for machines in ((), (OLD,), (Machine("new", fits=True, is_up=False, launched_at=2000.0),)):
        assert not asked(leads, s3, (9, 2100.0, 2101.0), *machines, has_changed=False)
