"""moto's EC2 inside a region: machines behind its instances, images of their disks, addresses that lead to them."""

import platform
import threading
from datetime import UTC, datetime

import addresses
from imds import Metadata
from machines import Machines
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance
from werkzeug.serving import make_server
from werkzeug.wrappers import Request
from world import WORLD

from bench.netns import METADATA

#: Debian's own account, <https://wiki.debian.org/Cloud/AmazonEC2Image/Bookworm>
DEBIAN_OWNER = "136693071363"
SOURCE_IMAGE = "ami-0debian12bookworm"
ARCHITECTURES = {"x86_64": ("x86_64", "amd64"), "aarch64": ("arm64", "arm64")}
MOTO_CREATE_IMAGE, MOTO_COPY_IMAGE = AmiBackend.create_image, AmiBackend.copy_image


def install(metadata: Metadata, **machines: object) -> None:
    """Until the region ends."""
    WORLD.doubles = Machines(WORLD, **machines)
    addresses.POOL[:] = WORLD.doubles.network.elastic()
    for name in ("associate_address", "disassociate_address", "release_address"):
        setattr(ElasticAddressBackend, name, leading(getattr(ElasticAddressBackend, name)))
    AmiBackend.create_image, AmiBackend.copy_image = create_image, copy_image
    NetworkInterface.check_auto_public_ip = check_auto_public_ip
    Instance.reboot = lambda self: WORLD.doubles.reboot(self.id)
    add_source_image()
    server = make_server(METADATA, 80, by_address(metadata), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def leading(do):
    """What moto does to an Elastic IP; afterwards it leads where moto says."""

    def done(*args, **kwargs):
        result = do(*args, **kwargs)
        WORLD.doubles.lead({one.public_ip: one.instance.id for one in WORLD.ec2.addresses if one.instance})
        return result

    return done


def check_auto_public_ip(self) -> None:
    """moto gives some address of the world; this one leads to the machine."""
    if self.public_ip_auto_assign and self.instance is not None:
        self.public_ip = WORLD.doubles.public_address(self.instance.id)


def create_image(self, instance_id: str, *args, **kwargs) -> Ami:
    """`pending` until the disk is copied. NoReboot is not known here: a running machine is down meanwhile."""
    image = MOTO_CREATE_IMAGE(self, instance_id, *args, **kwargs)
    image.state = "pending"
    image.root_device_type = "ebs"
    WORLD.doubles.image(instance_id, image.id, lambda: setattr(image, "state", "available"))
    return image


def copy_image(self, source_image_id: str, *args, **kwargs) -> Ami:
    image = MOTO_COPY_IMAGE(self, source_image_id, *args, **kwargs)
    WORLD.doubles.copy_image(source_image_id, image.id)
    return image


def add_source_image() -> None:
    """What Debian publishes: who asks for the newest Debian 12 finds it."""
    architecture, debians = ARCHITECTURES[platform.machine()]
    WORLD.ec2.amis[SOURCE_IMAGE] = Ami(
        WORLD.ec2,
        SOURCE_IMAGE,
        name=f"debian-12-{debians}-20991231-1",
        owner_id=DEBIAN_OWNER,
        public=True,
        architecture=architecture,
        virtualization_type="hvm",
        hypervisor="xen",
        root_device_type="ebs",
        root_device_name="/dev/xvda",
        creation_date=datetime(2099, 12, 31, tzinfo=UTC),
    )


def by_address(metadata: Metadata):
    """The metadata service as machines reach it: who asks tells which instance is meant."""

    def application(environ, start_response):
        id = WORLD.doubles.named(environ["REMOTE_ADDR"]) or "nobody"
        environ["PATH_INFO"] = f"/imds/{id}{environ['PATH_INFO']}"
        return metadata.answer(Request(environ))(environ, start_response)

    return application
