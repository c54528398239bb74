"""Where a call's time went, for X-Ray: a part for each record, told to the daemon that Lambda runs beside us.

Lambda itself traces calls, from API Gateway on and with their start. AWS's SDK, which would add our parts, takes 0.14 s
of each cold start to load; what it sends for them is a datagram of JSON:
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html
"""

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from secrets import token_hex

#: Both are set by Lambda; the former with each call: `Root=1-…;Parent=…;Sampled=1`.
TRACE, DAEMON = "_X_AMZN_TRACE_ID", "AWS_XRAY_DAEMON_ADDRESS"
HEAD = {"format": "json", "version": 1}


def trace(name: str, began: float, ended: float, about: Mapping[str, str], *, failed: bool) -> None:
    """Times are of the clock. Nothing where this call is not traced; what is lost on its way is missed by nobody."""
    parts = dict(part.partition("=")[::2] for part in os.environ.get(TRACE, "").split(";"))
    host, _, port = os.environ.get(DAEMON, "").rpartition(":")
    if parts.get("Sampled") != "1" or not (host and port.isdecimal()):
        return
    part = {
        "name": name,
        "id": token_hex(8),
        "trace_id": parts.get("Root"),
        "parent_id": parts.get("Parent"),
        "type": "subsegment",
        "start_time": began,
        "end_time": ended,
        "fault": failed,
        "annotations": dict(about),
    }
    with suppress(OSError, OverflowError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.sendto(f"{json.dumps(HEAD)}\n{json.dumps(part)}".encode(), (host, int(port)))
