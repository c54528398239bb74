"""ministack's CloudFormation, whose machines and networks are those of the other emulator.

Its change sets, updates and rollbacks follow the service's, measured; its EC2 does not. So what a stack has of EC2,
Auto Scaling and IAM is made by calls to the emulator at `CLOUD_ENDPOINT`; and so is, here at `STORE_ENDPOINT`, what
ministack's stacks drop of what they are given, or overwrite.
"""

import stack_doors
import stack_functions
import stack_machines
import stack_network
import stack_roles
import stack_store
import stack_watch
from ministack.services.cloudformation import changesets, engine, provisioners, stacks

FAMILIES = (stack_network, stack_doors, stack_roles, stack_machines, stack_store, stack_watch, stack_functions)
KINDS = {type: kind for family in FAMILIES for type, kind in family.KINDS.items()}
BLOCKS = stacks._runs_on_worker_thread
RESOLVED = changesets._resolve_props_for_diff


def that_are_there(template, parameters, *stack):
    """What a condition leaves out is added once it no longer does; ministack compares it as if it were there."""
    found = RESOLVED(template, parameters, *stack)
    if not found:
        return found
    holds = engine._evaluate_conditions(template, parameters)
    there = {name: one for name, one in found["Resources"].items() if holds.get(one.get("Condition"), True)}
    return {**found, "Resources": there}


def install() -> None:
    changesets._resolve_props_for_diff = that_are_there
    for type, kind in KINDS.items():
        provisioners._RESOURCE_HANDLERS[type] = kind.handlers()
        provisioners._REPLACING_PROPERTIES[type] = kind.replacing
    provisioners._STACK_TAG_PROPERTY["AWS::EC2::EIP"] = ("Tags", "list")
    # They call servers, this one too, which goes on serving meanwhile.
    stacks._runs_on_worker_thread = lambda type: type in KINDS or BLOCKS(type)
