"""The resources of a stack that are functions, and what calls them by HTTP, where ministack drops what it is given."""

from ministack.services.cloudformation import provisioners
from stack_calls import Kind, Made, Props, call

MINISTACK = dict(provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"])
MINISTACK_STAGE = dict(provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Stage"])
KNOWN = (
    *("Description", "PackageType", "Code", "Architectures", "Role", "MemorySize", "Timeout", "EphemeralStorage"),
    *("ReservedConcurrentExecutions", "TracingConfig", "LoggingConfig", "Environment", "ImageConfig"),
    *("Runtime", "Handler"),
)


def function_create(logical: str, props: Props, stack: str) -> Made:
    name, attributes = MINISTACK["create"](logical, props, stack)
    _reserve(name, {}, props)
    return name, attributes


def function_update(name: str, old: Props, new: Props, stack: str) -> Made:
    made = MINISTACK["update"](name, old, new, stack)
    _reserve(name, old, new)
    return made


def _reserve(name: str, old: Props, new: Props) -> None:
    wanted = new.get("ReservedConcurrentExecutions")
    if wanted is not None:
        call("lambda", "put_function_concurrency", FunctionName=name, ReservedConcurrentExecutions=wanted)
    elif "ReservedConcurrentExecutions" in old:
        call("lambda", "delete_function_concurrency", FunctionName=name)


def stage_create(logical: str, props: Props, stack: str) -> Made:
    made = MINISTACK_STAGE["create"](logical, props, stack)
    _limit(props)
    return made


def stage_update(name: str, old: Props, new: Props, stack: str) -> Made:
    made = MINISTACK_STAGE["update"](name, old, new, stack)
    _limit(new)
    return made


def _limit(props: Props) -> None:
    where = {"ApiId": props["ApiId"], "StageName": props["StageName"]}
    call("apigatewayv2", "update_stage", **where, DefaultRouteSettings=props.get("DefaultRouteSettings", {}))


KINDS = {
    "AWS::ApiGatewayV2::Stage": Kind(
        stage_create,
        MINISTACK_STAGE["delete"],
        stage_update,
        replacing=("ApiId", "StageName"),
        known=("AutoDeploy", "DefaultRouteSettings", "AccessLogSettings"),
    ),
    "AWS::Lambda::Function": Kind(
        function_create,
        MINISTACK["delete"],
        function_update,
        replacing=("FunctionName", "PackageType"),
        known=KNOWN,
    ),
}
