"""The resources of a stack that say who may speak in its network."""

from stack_calls import Kind, Made, Props, call, ec2_deletes, gone_is_fine, retag, tagged


def group_create(logical: str, props: Props, stack: str) -> Made:
    asked = {
        "GroupName": props.get("GroupName", f"{stack}-{logical}"),
        "Description": props["GroupDescription"],
        "VpcId": props.get("VpcId"),
    }
    id = call("ec2", "create_security_group", **asked, TagSpecifications=tagged("security-group", props))["GroupId"]
    return group_update(id, {"Tags": props.get("Tags", [])}, props, stack)


def group_update(id: str, old: Props, new: Props, _: str) -> Made:
    for way, property in (("ingress", "SecurityGroupIngress"), ("egress", "SecurityGroupEgress")):
        # A group that is new lets all out, until it is told whom.
        if property in new or property in old:
            _permit(id, way, new.get(property, EVERYWHERE if way == "egress" else []))
    retag(id, old, new)
    return id, {"GroupId": id, "Id": id, "VpcId": new.get("VpcId", "")}


EVERYWHERE = [{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}]


def _permit(id: str, way: str, rules: list[Props]) -> None:
    (found,) = call("ec2", "describe_security_groups", GroupIds=[id])["SecurityGroups"]
    if before := found["IpPermissions" if way == "ingress" else "IpPermissionsEgress"]:
        call("ec2", f"revoke_security_group_{way}", GroupId=id, IpPermissions=before)
    if rules:
        call("ec2", f"authorize_security_group_{way}", GroupId=id, IpPermissions=[_permission(one) for one in rules])


#: What a rule says besides whom it lets in or out, and of whom; as a call says it, by whom.
WORDS = ("IpProtocol", "FromPort", "ToPort", "Description")
PEERS = {
    "CidrIp": ("IpRanges", "CidrIp"),
    "CidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
    "SourcePrefixListId": ("PrefixListIds", "PrefixListId"),
    "DestinationPrefixListId": ("PrefixListIds", "PrefixListId"),
    "SourceSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    "DestinationSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
}


def _permission(rule: Props) -> Props:
    (peer,) = [name for name in rule if name in PEERS]
    if unknown := sorted(rule.keys() - {*WORDS, peer, "GroupId"}):
        raise ValueError(f"Encountered unsupported property {unknown[0]}")
    ports = {name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in rule}
    words = {"Description": rule["Description"]} if "Description" in rule else {}
    ranges, named = PEERS[peer]
    return ports | {ranges: [{named: rule[peer], **words}]}


def ingress_create(_: str, props: Props, __: str) -> Made:
    made = call("ec2", "authorize_security_group_ingress", GroupId=props["GroupId"], IpPermissions=[_permission(props)])
    id = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    return id, {"Id": id}


def ingress_update(id: str, old: Props, new: Props, stack: str) -> Made:
    ingress_delete(id, old)
    return ingress_create("", new, stack)


def ingress_delete(id: str, props: Props) -> None:
    call("ec2", "revoke_security_group_ingress", GroupId=props["GroupId"], SecurityGroupRuleIds=[id])


KINDS = {
    "AWS::EC2::SecurityGroup": Kind(
        group_create,
        ec2_deletes("delete_security_group", "GroupId"),
        group_update,
        replacing=("GroupName", "GroupDescription", "VpcId"),
        known=("SecurityGroupIngress", "SecurityGroupEgress"),
    ),
    "AWS::EC2::SecurityGroupIngress": Kind(
        ingress_create,
        gone_is_fine(ingress_delete),
        ingress_update,
        replacing=("GroupId",),
        known=(*WORDS, *PEERS),
    ),
}
