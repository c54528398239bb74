#!/bin/sh
# User data of a plain Debian 12 that becomes a worker at its first boot, without an image of ours: two minutes, each
# time. The archive is the project's, as `git archive` makes it, where the instance's role may read it.
set -eu
apt-get update -qq
apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends awscli >/dev/null
aws s3 cp s3://EXAMPLE-BUCKET/facefleet.tar.gz /tmp/facefleet.tar.gz
mkdir /tmp/facefleet
tar -xzf /tmp/facefleet.tar.gz -C /tmp/facefleet
install -d -m 0755 /etc/facefleet
cat >/etc/facefleet/facefleet.env <<'END'
AWS_DEFAULT_REGION=us-east-1
FACEFLEET_BACKEND=aws
FACEFLEET_MODELS=/opt/facefleet/models
END
/tmp/facefleet/ami/install.sh workers
