"""The small cloud is one: machines, their disks and images, their addresses and their ends are as EC2's."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.local import awaited
from bench.netns import OUTSIDE, Network
from bench.region import Region, RegionMachine

from .conftest import Launch

pytestmark = [pytest.mark.machine, pytest.mark.timeout(120)]

METADATA = "http://169.254.169.254/latest"
GET = f"""
token=$(curl --silent --fail --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 60' {METADATA}/api/token)
curl --silent --fail --header "X-aws-ec2-metadata-token: $token" {METADATA}/$1
"""
#: A service that says what it has in its environment, and at its stop takes a moment.
TELLS = """#!/bin/sh
echo ran >> /root/ran
cat > /etc/systemd/system/tells.service <<'END'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'env > /root/env; nproc > /root/cores'
ExecStop=/bin/sh -c 'sleep 0.5; touch /root/stopped'
[Install]
WantedBy=multi-user.target
END
systemctl enable --now tells.service
"""


def metadata(machine: RegionMachine, path: str) -> str:
    return machine.run("sh", "-ec", GET, "get", path)


def serve(machine: RegionMachine, words: str) -> None:
    """Over HTTP on port 80, to whoever asks for /said."""
    machine.run("sh", "-ec", 'mkdir /srv/web && printf %s "$1" > /srv/web/said', "write", words)
    machine.run("systemd-run", "--quiet", "python3", "-m", "http.server", "--directory", "/srv/web", "80")
    awaited(lambda: fetched(f"http://{machine.address}/said") == words, "it serves")


def fetched(url: str) -> str:
    """Empty: nobody answered."""
    command = ["curl", "--silent", "--noproxy", "*", "--max-time", "1", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout


def wrote(machine: RegionMachine, path: str) -> bool:
    return (machine.disk / path).exists()


def test_an_instance_is_a_machine_with_an_address_and_metadata_of_its_own(cloud: Region, launch: Launch) -> None:
    """And its neighbours reach it, at the address that EC2 tells."""
    one, another = launch(UserData="one"), launch(UserData="another")
    for machine, told in ((one, "one"), (another, "another")):
        assert metadata(machine, "meta-data/instance-id") == machine.id
        assert metadata(machine, "meta-data/local-ipv4") == machine.address
        assert metadata(machine, "user-data") == told
    assert one.run("cat", "/etc/machine-id") != another.run("cat", "/etc/machine-id")
    serve(one, "hello")
    assert another.run("curl", "--silent", f"http://{one.address}/said") == "hello"


def test_metadata_are_for_who_has_a_token(launch: Launch) -> None:
    status = launch().run("curl", "--silent", "--write-out", "%{http_code}", f"{METADATA}/meta-data/instance-id")
    assert status == "401"


def test_a_machine_has_the_credentials_of_its_role(cloud: Region, ec2: Any, launch: Launch) -> None:
    import boto3

    iam = boto3.client("iam")
    iam.create_role(RoleName="who", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="has")
    iam.add_role_to_instance_profile(InstanceProfileName="has", RoleName="who")
    machine = launch(IamInstanceProfile={"Name": "has"})
    path = "meta-data/iam/security-credentials/"
    assert metadata(machine, path) == "who"
    assert json.loads(metadata(machine, f"{path}who")).keys() >= {"AccessKeyId", "SecretAccessKey", "Token"}


def test_who_has_the_key_logs_in(ec2: Any, launch: Launch, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(ec2.create_key_pair(KeyName="mine")["KeyMaterial"])
    key.chmod(0o600)
    machine = launch(KeyName="mine")
    options = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes")
    command = ["ssh", "-i", str(key), *options, f"admin@{machine.address}", "sudo", "id", "--user"]

    def said() -> str:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()

    assert awaited(said, "ssh answers") == "0"


def test_a_disk_stays_over_a_stop_and_a_script_runs_once(ec2: Any, launch: Launch, await_state: Any) -> None:
    machine = launch(UserData=TELLS)
    ec2.stop_instances(InstanceIds=[machine.id])
    await_state(machine, "stopped")
    assert machine.pid is None and wrote(machine, "root/stopped"), "it was not stopped in order"
    ec2.start_instances(InstanceIds=[machine.id])
    await_state(machine, "running")
    machine.await_boot()
    assert machine.run("cat", "/root/ran") == "ran\n"


def test_a_machine_finds_its_region_and_has_one_core(cloud: Region, launch: Launch) -> None:
    machine = launch(UserData=TELLS)
    told = dict(line.split("=", 1) for line in machine.run("cat", "/root/env").splitlines())
    assert {name: told.get(name) for name in cloud.env if name.startswith("AWS_ENDPOINT_URL")} == {
        name: value for name, value in cloud.env.items() if name.startswith("AWS_ENDPOINT_URL")
    }
    assert machine.run("cat", "/root/cores") == "1\n"


def test_an_image_is_what_was_on_the_disk_and_machines_made_of_it_share_nothing(
    cloud: Region, ec2: Any, launch: Launch
) -> None:
    origin = launch()
    origin.run("sh", "-ec", "echo kept > /root/kept; rm /etc/debian_version")
    image = ec2.create_image(InstanceId=origin.id, Name="mine")["ImageId"]
    ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig={"Delay": 1})
    assert cloud.images() == [image]
    assert not list(cloud.inside.glob("images/*/etc/systemd/system.conf.d/*")), "the image knows the region"
    one, another = launch(ready=False, ImageId=image), launch(ready=False, ImageId=image)
    for machine in (one, another):
        machine.await_boot()
        assert machine.run("sh", "-c", "cat /root/kept; ls /etc/debian_version || true") == "kept\n"
    one.run("rm", "/root/kept")
    assert another.run("cat", "/root/kept") == "kept\n"


def test_an_elastic_ip_moves_and_a_connection_in_hand_stays(ec2: Any, launch: Launch) -> None:
    one, another = launch(ready=False), launch(ready=False)
    for machine, words in ((one, "one"), (another, "another")):
        machine.await_boot()
        serve(machine, words)
    address = ec2.allocate_address(Domain="vpc")
    url = f"http://{address['PublicIp']}/said"
    assert fetched(url) == ""
    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=one.id)
    assert fetched(url) == "one"
    talk = talking(address["PublicIp"])
    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=another.id, AllowReassociation=True)
    assert fetched(url) == "another"
    assert another.run("curl", "--silent", url) == "another"
    assert talk.communicate("GET /said HTTP/1.0\r\n\r\n", timeout=20)[0].endswith("one")


def talking(address: str) -> "subprocess.Popen[str]":
    """Connected, and silent till it is told what to send."""
    talk = """
import socket, sys
with socket.create_connection((sys.argv[1], 80), 10) as line:
    print("connected", flush=True)
    line.sendall(sys.stdin.read().encode())
    while some := line.recv(4096):
        print(some.decode(), end="")
"""
    command = [sys.executable, "-c", talk, address]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "connected\n"
    return process


def test_a_crashed_machine_is_down_and_its_instance_runs_until_it_is_rebooted(
    cloud: Region, ec2: Any, launch: Launch, await_state: Any
) -> None:
    """As where Debian's kernel panics: it halts, and EC2 does not look."""
    machine = launch(UserData=TELLS)
    cloud.cloud.told("/_kill", {"ids": [machine.id], "how": "crashed"})
    assert machine.pid is None and not wrote(machine, "root/stopped")
    await_state(machine, "running")
    ec2.reboot_instances(InstanceIds=[machine.id])
    awaited(lambda: machine.pid is not None, "it boots")
    machine.await_boot()


def test_a_lost_machine_is_gone_with_its_disk(cloud: Region, launch: Launch, await_state: Any) -> None:
    machine = launch()
    cloud.cloud.told("/_kill", {"ids": [machine.id], "how": "lost"})
    assert machine.pid is None
    await_state(machine, "terminated")
    awaited(lambda: not machine.disk.exists(), "the disk is gone")
    assert machine.console.exists()


def test_a_machine_that_goes_down_by_itself_is_a_stopped_instance_or_a_terminated_one(
    launch: Launch, await_state: Any
) -> None:
    stays = launch(ready=False)
    goes = launch(ready=False, InstanceInitiatedShutdownBehavior="terminate")
    for machine, state in ((stays, "stopped"), (goes, "terminated")):
        machine.await_boot()
        machine.run("systemctl", "poweroff")
        await_state(machine, state)
    assert wrote(stays, "etc/hostname")


def test_a_machine_boots_again_when_it_is_told_so_inside(launch: Launch, await_state: Any) -> None:
    machine = launch()
    before = machine.run("cat", "/proc/sys/kernel/random/boot_id", "/etc/machine-id")
    pid = machine.pid
    machine.run("systemctl", "reboot")
    awaited(lambda: machine.pid not in (None, pid), "it boots")
    machine.await_boot()
    await_state(machine, "running")
    assert machine.run("cat", "/etc/machine-id") in before


def test_a_spot_instance_is_told_of_its_end_and_then_ended_in_order(
    cloud: Region, launch: Launch, await_state: Any
) -> None:
    machine = launch(InstanceMarketOptions={"MarketType": "spot"})
    with socket.create_server((cloud.network.private(OUTSIDE), 0)) as last_words:
        last_words.settimeout(20)
        host, port = last_words.getsockname()
        stop = f"--property=ExecStop=curl --max-time 2 http://{host}:{port}/"
        machine.run("systemd-run", "--quiet", stop, "sleep", "99")
        cloud.cloud.told("/_notice", {"id": machine.id, "kind": "spot", "after": 1.0})
        assert json.loads(metadata(machine, "meta-data/spot/instance-action"))["action"] == "terminate"
        last_words.accept()[0].close()
    await_state(machine, "terminated")


def test_a_region_whose_maker_was_killed_leaves_nothing(cloud: Region, tmp_path: Path) -> None:
    """Also beside another, which goes on."""
    code = """
import os, pathlib, sys
os.environ.pop("PYTEST_CURRENT_TEST", None)
from bench.region import region
with region(pathlib.Path(sys.argv[1])) as made:
    print(made.network.number, made.pid, flush=True)
    sys.stdin.read()
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    maker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    number, pid = map(int, maker.stdout.readline().split())
    assert number != cloud.network.number
    maker.send_signal(signal.SIGKILL)
    maker.communicate(timeout=20)
    awaited(lambda: not Path(f"/proc/{pid}").exists(), "its processes end")
    awaited(lambda: not Path(f"/sys/class/net/{Network(number).link}").exists(), "its network ends")
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    os.kill(cloud.pid, 0)
