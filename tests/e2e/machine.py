"""What an instance of a deployment runs, as a process of this machine: the tier that its user data names.

Run as an instance's double, as `machine.py FOLDER BROKEN_IMAGE`: it has nothing but its metadata, and a port of its own
that it leaves in the folder. Of the broken image, workers work, and no machine else ever does.
"""

import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import requests

from ami.address import taken
from bench.local import free_port

FOLDER, BROKEN = Path(sys.argv[1]), sys.argv[2]
ID, METADATA = os.environ["INSTANCE_ID"], os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"]
#: Nobody needs wait for days to see that one does not come.
PATIENCE = 60.0


def metadata(path: str) -> str:
    ttl = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = requests.put(f"{METADATA}latest/api/token", headers=ttl, timeout=PATIENCE).text
    found = requests.get(f"{METADATA}latest/{path}", headers={"X-aws-ec2-metadata-token": token}, timeout=PATIENCE)
    found.raise_for_status()
    return found.text


def become(tier: str) -> None:
    """This process is it from now on, on a machine of this name."""
    socket.gethostname = lambda: ID
    sys.argv[1:] = []
    runpy.run_module(tier, run_name="__main__")


def serve(told: dict[str, dict[str, str]]) -> None:
    """The web tier, which takes the address once it is ready."""
    port = free_port()
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=told["secret"])
    key = json.loads(secret["SecretString"])
    os.environ |= {"FACEFLEET_PORT": str(port), "FACEFLEET_API_KEYS": f"{key['key']}:{key['scopes']}"}
    # The tier's own end is this one's: whoever stops the machine signals all its processes.
    signal.signal(signal.SIGTERM, lambda *_: None)
    web = subprocess.Popen([sys.executable, "-m", "web_tier"])
    while not is_ready(port) and web.poll() is None:
        time.sleep(0.05)
    (FOLDER / f"{ID}.port").write_text(str(port))
    taken(boto3.client("ec2"), told["address"]["allocation"], ID)
    web.wait()


def is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE).ok
    except requests.ConnectionError:
        return False


def main() -> None:
    told = json.loads(metadata("user-data"))
    if told["tier"] != "workers" and metadata("meta-data/ami-id") == BROKEN:
        signal.pause()
    # Of the endpoints that stand for a region, its machines know as well.
    os.environ |= told["settings"] | {"FACEFLEET_DATA": str(FOLDER / ID)}
    if told["tier"] == "web":
        serve(told)
    else:
        become({"controller": "controller", "workers": "app_tier"}[told["tier"]])


if __name__ == "__main__":
    main()
