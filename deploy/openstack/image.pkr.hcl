# The image of all tiers and of the relay for a private cloud: `packer build deploy/openstack/image.pkr.hcl`, see
# README.md. Packer 1.6.6 (Debian's) or newer; 1.7 and newer want `packer plugins install
# github.com/hashicorp/openstack` once, which 1.6.6 has built in. Which cloud it is, clouds.yaml or OS_ variables say.

variable "cloud" {
  type        = string
  default     = ""
  description = "The cloud's name in clouds.yaml; empty: what the OS_ variables say."
}

variable "source_image" {
  type        = string
  default     = "debian-12"
  description = "Name of a Debian 12 for clouds on this cloud: README.md says how one gets there."
}

variable "flavor" {
  type        = string
  default     = "m1.medium"
  description = "Where the image is made: 2 GB of memory, 5 GB of disk."
}

variable "networks" {
  type        = list(string)
  default     = []
  description = "Ids of networks for the server that it is made on; empty: the project's only one."
}

variable "floating_network" {
  type        = string
  default     = ""
  description = "Where its floating IP is from; empty: it is reached without one."
}

variable "security_groups" {
  type        = list(string)
  default     = []
  description = "That let SSH in, as that of `facefleet site up`; empty: the project's default."
}

variable "ssh_username" {
  type        = string
  default     = "debian"
  description = "Whom the image to begin with lets in."
}

variable "name" {
  type        = string
  default     = "facefleet-worker"
  description = "As FACEFLEET_OPENSTACK_IMAGE names it. Of several of one name the newest counts."
}

variable "tuned_dlib" {
  type        = bool
  default     = false
  description = "Compile dlib on the server. ami/README.md says what it brings."
}

variable "archive" {
  type        = string
  default     = ""
  description = "The project as a .tar.gz; empty: what is committed in this checkout."
}

variable "environment" {
  type        = list(string)
  default     = []
  description = "For pip on the server, as PIP_INDEX_URL=https://…"
}

locals {
  archive = var.archive != "" ? var.archive : "${path.root}/../../build/facefleet.tar.gz"
}

source "openstack" "image" {
  cloud                   = var.cloud
  source_image_name       = var.source_image
  flavor                  = var.flavor
  networks                = var.networks
  floating_ip_network     = var.floating_network
  security_groups         = var.security_groups
  ssh_username            = var.ssh_username
  ssh_timeout             = "10m"
  image_name              = var.name
  image_visibility        = "private"
  instance_name           = "${var.name}-image"
  use_blockstorage_volume = false

  metadata = {
    "facefleet:image" = var.name
    # Seconds until Nova pulls the plug of a server that is stopped: a worker's unit takes up to 150 to finish.
    "os_shutdown_timeout" = "180"
  }
}

build {
  sources = ["source.openstack.image"]

  provisioner "shell-local" {
    inline = [
      var.archive != "" ? "test -e '${local.archive}'" : "mkdir -p '${path.root}/../../build' && git -C '${path.root}/../..' archive --output=build/facefleet.tar.gz HEAD",
    ]
  }

  provisioner "file" {
    source      = local.archive
    destination = "/tmp/facefleet.tar.gz"
    generated   = true
  }

  provisioner "shell" {
    inline = [
      # It lets SSH in before it has written where apt finds packages.
      "! command -v cloud-init >/dev/null || timeout 300 cloud-init status --wait >/dev/null || :",
      "mkdir /tmp/facefleet",
      "tar -xzf /tmp/facefleet.tar.gz -C /tmp/facefleet",
      "sudo env ${join(" ", var.environment)} /tmp/facefleet/ami/install.sh ${var.tuned_dlib ? "--tuned-dlib " : ""}image",
      "sudo rm -rf /tmp/facefleet /tmp/facefleet.tar.gz",
    ]
  }
}
