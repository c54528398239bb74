"""Buckets as they stand on the account: private, encrypted, and forgetful."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from facefleet.backends.aws.account.wanted import (
    ADOPTION,
    MADE_BY,
    RULE,
    SETUP,
    TLS_ONLY,
    WantedBucket,
    as_text,
    in_words,
    lifecycle,
    tls_only,
)
from facefleet.backends.aws.faults import DENIED, code_of, translated
from facefleet.errors import BadSettings, NotFound, Unavailable

#: The region whose name a new bucket must not be given.
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucketConfiguration.html
UNNAMED_REGION = "us-east-1"
#: What S3 calls it when nothing was set; everything else that goes wrong is an error.
UNSET = (
    *("NoSuchBucketPolicy", "NoSuchLifecycleConfiguration", "NoSuchPublicAccessBlockConfiguration", "NoSuchTagSet"),
    *("OwnershipControlsNotFoundError", "ServerSideEncryptionConfigurationNotFoundError"),
)
PRIVATE = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
ACCESS, OWNERSHIP, ENCRYPTION = "public access", "ownership", "encryption"
VERSIONING, TRANSPORT, FORGETS = "versioning", "transport", "forgets"
#: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionByDefault.html
ALGORITHMS = frozenset({"AES256", "aws:kms", "aws:kms:dsse"})
Json = dict[str, Any]


class Bucket:
    """A bucket of the account `owner`, each fact of which is read and written by calls of its own."""

    def __init__(self, s3: Any, wanted: WantedBucket, owner: str) -> None:
        self._s3 = s3
        self._wanted = wanted
        self._owner = owner
        self._name = wanted.name
        self._facts: Mapping[str, tuple[Callable[[], str], Callable[[], object]]] = {
            ACCESS: (self._access, self._block),
            OWNERSHIP: (self._ownership, self._own),
            ENCRYPTION: (self._encryption, self._encrypt),
            VERSIONING: (self._versioning, self._set_versioning),
            TRANSPORT: (self._transport, self._demand_tls),
            FORGETS: (self._forgets, self._forget),
        }

    @property
    def what(self) -> str:
        return f"bucket {self._name}"

    @property
    def holds_people(self) -> bool:
        return self._wanted.holds_people

    def wanted(self) -> Mapping[str, str]:
        return {
            ACCESS: "blocked",
            OWNERSHIP: "BucketOwnerEnforced",
            # With keys of S3's own, or with those of KMS that somebody chose.
            ENCRYPTION: "at rest",
            VERSIONING: "kept" if self._wanted.versioned else "none",
            TRANSPORT: "TLS only",
            FORGETS: in_words(lifecycle(self._wanted)),
        }

    def found(self) -> Mapping[str, str] | None:
        if not self._is_ours():
            return None
        with translated(f"looking at the {self.what}"):
            return {about: read() for about, (read, _) in self._facts.items()}

    def _is_ours(self) -> bool:
        try:
            # Somebody who took the name first could let us in, and would get every image.
            self._s3.head_bucket(Bucket=self._name, ExpectedBucketOwner=self._owner)
        except ClientError as e:
            if code_of(e) in DENIED:
                raise self._taken() from e
            with suppress(NotFound), translated(f"looking for the {self.what}"):
                raise
            return False
        return True

    def _taken(self) -> BadSettings:
        """Names of buckets are the whole world's."""
        return BadSettings(
            f"the bucket {self._name} is another account's, or you may not see it: set {self._wanted.setting} "
            "to a name that nobody has"
        )

    def was_made_by_setup(self) -> bool:
        with translated(f"looking who made the {self.what}"):
            return self._tags().get(MADE_BY) == SETUP

    def is_a_strangers(self) -> bool:
        """Whether it has something in it and neither was made by us nor given to us."""
        with translated(f"looking who made the {self.what}"):
            if MADE_BY in self._tags():
                return False
            page = self._s3.list_object_versions(Bucket=self._name, MaxKeys=1)
            return bool(page.get("Versions") or page.get("DeleteMarkers"))

    def make(self) -> None:
        region = self._s3.meta.region_name
        where = {} if region == UNNAMED_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with translated(f"making the {self.what}"):
            try:
                self._s3.create_bucket(Bucket=self._name, ObjectOwnership="BucketOwnerEnforced", **where)
            except ClientError as e:
                if code_of(e) == "BucketAlreadyExists":
                    raise self._taken() from e
                # A first try may have made it whose answer was lost.
                if code_of(e) != "BucketAlreadyOwnedByYou":
                    raise
            self._mark(SETUP)
        self.change(self.wanted())

    def change(self, facts: Mapping[str, str]) -> None:
        with translated(f"marking the {self.what}"):
            self._mark(ADOPTION)
        for about in facts:
            with translated(f"changing the {self.what}: {about}"):
                self._facts[about][1]()

    def remove(self) -> None:
        """With every version of everything."""
        self.empty()
        with suppress(NotFound), translated(f"removing the {self.what}"):
            self._s3.delete_bucket(Bucket=self._name)

    def empty(self) -> None:
        """Every version of everything goes; the bucket stays."""
        with suppress(NotFound), translated(f"emptying the {self.what}"):
            for page in self._versions():
                answer = self._s3.delete_objects(Bucket=self._name, Delete={"Objects": page, "Quiet": True})
                if errors := answer.get("Errors"):
                    raise Unavailable(f"{self.what}: {errors[0]['Key']} stays ({errors[0].get('Code')}): try again")

    def _versions(self) -> Iterator[list[Json]]:
        """Keys and versions, delete markers too, as many at a time as one deletion takes."""
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self._name):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            if found:
                yield [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]

    def _mark(self, maker: str) -> None:
        """Says who made it, unless that is said."""
        if MADE_BY not in (tags := self._tags()):
            # All at once: S3 forgets those that are not said again.
            told = [{"Key": key, "Value": value} for key, value in (tags | {MADE_BY: maker}).items()]
            self._s3.put_bucket_tagging(Bucket=self._name, Tagging={"TagSet": told})

    def _tags(self) -> dict[str, str]:
        found = _or_unset(self._s3.get_bucket_tagging, self._name).get("TagSet", ())
        return {tag["Key"]: tag["Value"] for tag in found}

    # What each fact is read by, and written by

    def _access(self) -> str:
        blocks = _or_unset(self._s3.get_public_access_block, self._name).get("PublicAccessBlockConfiguration", {})
        return "blocked" if all(blocks.get(name) for name in PRIVATE) else "may be open"

    def _block(self) -> None:
        self._s3.put_public_access_block(Bucket=self._name, PublicAccessBlockConfiguration=PRIVATE)

    def _ownership(self) -> str:
        rules = _or_unset(self._s3.get_bucket_ownership_controls, self._name).get("OwnershipControls", {})
        return ", ".join(rule["ObjectOwnership"] for rule in rules.get("Rules", ())) or "none"

    def _own(self) -> None:
        controls = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        self._s3.put_bucket_ownership_controls(Bucket=self._name, OwnershipControls=controls)

    def _encryption(self) -> str:
        found = _or_unset(self._s3.get_bucket_encryption, self._name).get("ServerSideEncryptionConfiguration", {})
        defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in found.get("Rules", ())]
        algorithms = {default["SSEAlgorithm"] for default in defaults if default}
        return "at rest" if algorithms and algorithms <= ALGORITHMS else ", ".join(sorted(algorithms)) or "none"

    def _encrypt(self) -> None:
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        self._s3.put_bucket_encryption(Bucket=self._name, ServerSideEncryptionConfiguration={"Rules": [rule]})

    def _versioning(self) -> str:
        status = self._s3.get_bucket_versioning(Bucket=self._name).get("Status", "none")
        return "kept" if status == "Enabled" else "none"

    def _set_versioning(self) -> None:
        if not self._wanted.versioned and self._versioning() == "none":
            # It never was, and from then on S3 would know no other word for that than "suspended".
            return
        status = "Enabled" if self._wanted.versioned else "Suspended"
        self._s3.put_bucket_versioning(Bucket=self._name, VersioningConfiguration={"Status": status})

    def _transport(self) -> str:
        return "TLS only" if self._tls_only() in self._statements() else "unencrypted too"

    def _demand_tls(self) -> None:
        others = [one for one in self._statements() if one.get("Sid") != TLS_ONLY]
        policy = {"Version": "2012-10-17", "Statement": [*others, self._tls_only()]}
        self._s3.put_bucket_policy(Bucket=self._name, Policy=json.dumps(policy))

    def _tls_only(self) -> Json:
        return tls_only(self._name, partition=self._s3.meta.partition)

    def _statements(self) -> list[Json]:
        found = _or_unset(self._s3.get_bucket_policy, self._name).get("Policy", "{}")
        statements = json.loads(found).get("Statement", ())
        # A single one may stand without brackets.
        return [statements] if isinstance(statements, dict) else list(statements)

    def _forgets(self) -> str:
        wanted, found = lifecycle(self._wanted), self._rules()
        ours = [rule for rule in found if rule.get("ID", "").startswith(RULE)]
        # S3 hands them out in an order of its own.
        if sorted(map(as_text, ours)) == sorted(map(as_text, wanted)):
            return in_words(wanted)
        told = in_words(ours)
        return f"{told}, and otherwise not as wanted" if told == in_words(wanted) else told

    def _forget(self) -> None:
        others = [rule for rule in self._rules() if not rule.get("ID", "").startswith(RULE)]
        rules = {"Rules": [*others, *lifecycle(self._wanted)]}
        self._s3.put_bucket_lifecycle_configuration(Bucket=self._name, LifecycleConfiguration=rules)

    def _rules(self) -> list[Json]:
        return list(_or_unset(self._s3.get_bucket_lifecycle_configuration, self._name).get("Rules", ()))


def _or_unset(get: Callable[..., Json], bucket: str) -> Json:
    """What was set; empty where nothing was."""
    try:
        return get(Bucket=bucket)
    except ClientError as e:
        if code_of(e) in UNSET:
            return {}
        raise
