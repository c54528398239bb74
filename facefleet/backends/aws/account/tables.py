"""Tables as they stand on the account."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from facefleet.backends.aws.account.wanted import MADE_BY, SETUP, WantedTable
from facefleet.backends.aws.faults import translated
from facefleet.errors import BadSettings, NotFound, Unavailable

#: A table is there, or gone, within seconds; beyond this somebody should look.
PATIENCE = 300.0
LOOK_EVERY = 1.0
BILLING, PROTECTION, RECOVERY = "billing", "deletion protection", "point-in-time recovery"
ON_DEMAND = "PAY_PER_REQUEST"
KEY_TYPES = ("HASH", "RANGE")


class Table:
    """A table of people's data: paid by request, and not deleted by a slip."""

    holds_people = True

    def __init__(self, dynamodb: Any, wanted: WantedTable) -> None:
        self._dynamodb = dynamodb
        self._wanted = wanted
        self._name = wanted.name

    @property
    def what(self) -> str:
        return f"table {self._name}"

    def wanted(self) -> Mapping[str, str]:
        return {
            "keys": ", ".join(self._wanted.keys),
            BILLING: ON_DEMAND,
            PROTECTION: "on",
            # It would keep the encodings of whoever was erased for up to 35 days more, and let them be restored:
            # here an erasure is one. Who wants backups makes them, and answers for what is in them.
            RECOVERY: "off",
        }

    def found(self) -> Mapping[str, str] | None:
        with suppress(NotFound), translated(f"looking at the {self.what}"):
            table = self._described()
            self._check_keys(table)
            return {
                "keys": ", ".join(self._wanted.keys),
                # Absent: of a table from before there was another way.
                BILLING: table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
                PROTECTION: "on" if table.get("DeletionProtectionEnabled") else "off",
                RECOVERY: self._recovery(),
            }
        return None

    def _check_keys(self, table: dict[str, Any]) -> None:
        """A table's keys are for ever."""
        keys = {one["KeyType"]: one["AttributeName"] for one in table["KeySchema"]}
        kinds = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
        found = [f"{keys[kind]} ({kinds[keys[kind]]})" for kind in KEY_TYPES if kind in keys]
        if found != [f"{key} (S)" for key in self._wanted.keys]:
            raise BadSettings(
                f"the {self._name} that is there has the keys {', '.join(found)}, and {', '.join(self._wanted.keys)} "
                "(S) are needed: set FACEFLEET_PEOPLE_TABLE to another name"
            )

    def _recovery(self) -> str:
        found = self._dynamodb.describe_continuous_backups(TableName=self._name)["ContinuousBackupsDescription"]
        status = found.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
        return "on" if status == "ENABLED" else "off"

    def was_made_by_setup(self) -> bool:
        with translated(f"looking who made the {self.what}"):
            pages = self._dynamodb.get_paginator("list_tags_of_resource").paginate(
                ResourceArn=self._described()["TableArn"]
            )
            return any(tag == {"Key": MADE_BY, "Value": SETUP} for page in pages for tag in page["Tags"])

    def is_a_strangers(self) -> bool:
        """Never: one with just these keys is a table of people."""
        return False

    def make(self) -> None:
        with translated(f"making the {self.what}"):
            self._dynamodb.create_table(
                TableName=self._name,
                BillingMode=ON_DEMAND,
                DeletionProtectionEnabled=True,
                Tags=[{"Key": MADE_BY, "Value": SETUP}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in self._wanted.keys],
                KeySchema=[
                    {"AttributeName": key, "KeyType": kind}
                    for key, kind in zip(self._wanted.keys, KEY_TYPES, strict=False)
                ],
            )
            self._await_active()

    def change(self, facts: Mapping[str, str]) -> None:
        with translated(f"changing the {self.what}"):
            # One change at a time is all that DynamoDB takes.
            if BILLING in facts:
                self._update(BillingMode=ON_DEMAND)
            if PROTECTION in facts:
                self._update(DeletionProtectionEnabled=True)
            if RECOVERY in facts:
                off = {"PointInTimeRecoveryEnabled": False}
                self._dynamodb.update_continuous_backups(TableName=self._name, PointInTimeRecoverySpecification=off)

    def remove(self) -> None:
        with suppress(NotFound), translated(f"removing the {self.what}"):
            self.unprotect()
            self._dynamodb.delete_table(TableName=self._name)
            # Its name may be used again only then; a look at what is gone ends this, with `NotFound`.
            self._until(lambda: not self._described(), "gone")

    def unprotect(self) -> None:
        """Whoever deletes it may."""
        with suppress(NotFound), translated(f"lifting the protection of the {self.what}"):
            if self._described().get("DeletionProtectionEnabled"):
                self._update(DeletionProtectionEnabled=False)

    def _update(self, **change: object) -> None:
        self._dynamodb.update_table(TableName=self._name, **change)
        self._await_active()

    def _await_active(self) -> None:
        self._until(lambda: self._described()["TableStatus"] == "ACTIVE", "ready")

    def _described(self) -> dict[str, Any]:
        return dict(self._dynamodb.describe_table(TableName=self._name)["Table"])

    def _until(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > deadline:
                raise Unavailable(f"the {self.what} is not {what} after {PATIENCE:.0f} s: look at it in the console")
            time.sleep(LOOK_EVERY)
