# The machine image of all tiers: `packer build ami/facefleet.pkr.hcl`, see README.md. Packer 1.6.6 (Debian's) or newer;
# 1.7 and newer want `packer plugins install github.com/hashicorp/amazon` once, which 1.6.6 has built in. It has no word
# for `required_plugins`, so there is none here.

variable "region" {
  type    = string
  default = "us-east-1"
}

variable "architecture" {
  type        = string
  default     = "x86_64"
  description = "Of the processors: x86_64 or arm64."
}

variable "instance_type" {
  type        = string
  default     = ""
  description = "Where the image is made; empty: t3.medium or t4g.medium."
}

variable "source_ami" {
  type        = string
  default     = ""
  description = "What it is made from; empty: the newest Debian 12 of Debian's own account."
}

variable "name" {
  type        = string
  default     = "facefleet"
  description = "What the image's name begins with; architecture and time follow."
}

variable "tuned_dlib" {
  type        = bool
  default     = false
  description = "Compile dlib on the instance. README.md says what it brings."
}

variable "encrypt" {
  type        = bool
  default     = false
  description = "Encrypt the image's disk with the account's key; instances' disks are encrypted in any case."
}

variable "archive" {
  type        = string
  default     = ""
  description = "The project as a .tar.gz; empty: what is committed in this checkout."
}

variable "environment" {
  type        = list(string)
  default     = []
  description = "For pip on the instance, as PIP_INDEX_URL=https://…"
}

# For an EC2 that is not Amazon's.
variable "endpoint" {
  type    = string
  default = ""
}

variable "ssh_interface" {
  type        = string
  default     = "public_ip"
  description = "Where the instance is reached: public_ip, private_ip, public_dns or private_dns."
}

locals {
  archive       = var.archive != "" ? var.archive : "${path.root}/../build/facefleet.tar.gz"
  made          = formatdate("YYYYMMDDhhmmss", timestamp())
  instance_type = var.instance_type != "" ? var.instance_type : var.architecture == "arm64" ? "t4g.medium" : "t3.medium"
  debian        = var.architecture == "arm64" ? "debian-12-arm64-*" : "debian-12-amd64-*"
}

source "amazon-ebs" "image" {
  region              = var.region
  instance_type       = local.instance_type
  source_ami          = var.source_ami
  ami_name            = "${var.name}-${var.architecture}-${local.made}"
  ami_description     = "facefleet: web tier, controller and workers, on Debian 12"
  encrypt_boot        = var.encrypt
  ssh_username        = "admin"
  ssh_interface       = var.ssh_interface
  ssh_timeout         = "5m"
  custom_endpoint_ec2 = var.endpoint

  skip_region_validation  = var.endpoint != ""
  skip_metadata_api_check = var.endpoint != ""

  # https://wiki.debian.org/Cloud/AmazonEC2Image/Bookworm
  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters = {
      name                = local.debian
      architecture        = var.architecture
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = 8
    iops                  = 3000 # what gp3 has at no price, which packer 1.6.6 wants to be told
    throughput            = 125
    delete_on_termination = true
  }

  run_tags = {
    Name = "${var.name}-image"
  }

  tags = {
    Name                     = var.name
    "facefleet:image"        = var.name
    "facefleet:architecture" = var.architecture
  }
}

build {
  sources = ["source.amazon-ebs.image"]

  provisioner "shell-local" {
    inline = [
      var.archive != "" ? "test -e '${local.archive}'" : "mkdir -p '${path.root}/../build' && git -C '${path.root}/..' archive --output=build/facefleet.tar.gz HEAD",
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
