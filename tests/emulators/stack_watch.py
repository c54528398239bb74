"""The resources of a stack that are secrets, and who watches it: alarms and budgets."""

import json
import secrets
import string

from ministack.services import cloudwatch
from stack_calls import ACCOUNT, Kind, Made, Props, call, fitted, gone_is_fine

# Secrets, whose name in a template is their ARN


def secret_create(logical: str, props: Props, stack: str) -> Made:
    said = {key: value for key, value in props.items() if key not in ("GenerateSecretString", "Name")}
    name = props.get("Name") or f"{logical}-{secrets.token_hex(6)}"
    made = call("secretsmanager", "create_secret", **said | {"Name": name, "SecretString": _secret(props)})
    return made["ARN"], {"Id": made["ARN"]}


def secret_update(arn: str, old: Props, new: Props, _: str) -> Made:
    """A value that is generated stays, as long as how it is generated does."""
    sources = ("SecretString", "GenerateSecretString")
    other = any(old.get(name) != new.get(name) for name in sources)
    call(
        "secretsmanager",
        "update_secret",
        SecretId=arn,
        Description=new.get("Description", ""),
        SecretString=_secret(new) if other else None,
    )
    if new.get("Tags"):
        call("secretsmanager", "tag_resource", SecretId=arn, Tags=new["Tags"])
    return arn, {"Id": arn}


def _secret(props: Props) -> str:
    said = props.get("GenerateSecretString")
    if said is None:
        return props["SecretString"]
    left_out = set(said.get("ExcludeCharacters", ""))
    left_out |= set(string.punctuation if _true(said, "ExcludePunctuation") else "")
    left_out |= set(string.digits if _true(said, "ExcludeNumbers") else "")
    letters = sorted(set(string.ascii_letters + string.digits + string.punctuation) - left_out)
    value = "".join(secrets.choice(letters) for _ in range(int(said.get("PasswordLength", 32))))
    if "SecretStringTemplate" not in said:
        return value
    return json.dumps(json.loads(said["SecretStringTemplate"]) | {said["GenerateStringKey"]: value})


def _true(props: Props, name: str) -> bool:
    return str(props.get(name, False)).lower() == "true"


def secret_delete(arn: str, _: Props) -> None:
    call("secretsmanager", "delete_secret", SecretId=arn)


# Alarms and budgets


def alarm_create(logical: str, props: Props, stack: str) -> Made:
    return alarm_update(props.get("AlarmName") or f"{stack}-{logical}-{secrets.token_hex(6)}", {}, props, stack)


def alarm_update(name: str, _: Props, new: Props, __: str) -> Made:
    # A call may not give tags of AWS's own, which are set beside it; and it gives none to an alarm that is there.
    said = {key: value for key, value in new.items() if key != "Tags"} | {"AlarmName": name}
    call("cloudwatch", "put_metric_alarm", **said)
    if "Metrics" in said:
        # ministack drops what an alarm reckons with.
        cloudwatch._alarms[name]["Metrics"] = fitted("cloudwatch", "put_metric_alarm", **said)["Metrics"]
    cloudwatch.cloudformation_set_metric_alarm_tags(name, new.get("Tags", []))
    (found,) = call("cloudwatch", "describe_alarms", AlarmNames=[name])["MetricAlarms"]
    return name, {"Arn": found["AlarmArn"]}


def alarm_delete(name: str, _: Props) -> None:
    call("cloudwatch", "delete_alarms", AlarmNames=[name])


def budget_create(logical: str, props: Props, stack: str) -> Made:
    name = props["Budget"].get("BudgetName") or f"{stack}-{logical}-{secrets.token_hex(6)}"
    said = {key: value for key, value in props.items() if key != "Budget"}
    call("budgets", "create_budget", AccountId=ACCOUNT, Budget=props["Budget"] | {"BudgetName": name}, **said)
    return name, {}


def budget_update(name: str, _: Props, new: Props, __: str) -> Made:
    call("budgets", "update_budget", AccountId=ACCOUNT, NewBudget=new["Budget"] | {"BudgetName": name})
    return name, {}


def budget_delete(name: str, _: Props) -> None:
    call("budgets", "delete_budget", AccountId=ACCOUNT, BudgetName=name)


KINDS = {
    "AWS::SecretsManager::Secret": Kind(secret_create, gone_is_fine(secret_delete), secret_update, ("Name",)),
    "AWS::CloudWatch::Alarm": Kind(alarm_create, gone_is_fine(alarm_delete), alarm_update, ("AlarmName",)),
    "AWS::Budgets::Budget": Kind(
        budget_create, gone_is_fine(budget_delete), budget_update, ("NotificationsWithSubscribers",)
    ),
}
