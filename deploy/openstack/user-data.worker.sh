#!/bin/sh
# User data of a plain Debian 12 that becomes a worker at its first boot, without an image of ours: two minutes, each
# time, and a way to Debian and PyPI. The archive is the project's, as `git archive` makes it. Whoever is on the server
# may read what stands here, with the keys: README.md says what speaks against that.
set -eu
umask 077
apt-get update -qq
apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends ca-certificates curl >/dev/null
curl --fail --silent --show-error --retry 5 --output /tmp/facefleet.tar.gz https://EXAMPLE.org/facefleet.tar.gz
mkdir /tmp/facefleet
tar -xzf /tmp/facefleet.tar.gz -C /tmp/facefleet
install -d -m 0755 /etc/facefleet
cat >/etc/facefleet/facefleet.env <<'END'
AWS_DEFAULT_REGION=us-east-1
AWS_ENDPOINT_URL_SQS=https://queues.example.org
AWS_ENDPOINT_URL_S3=https://objects.example.org
AWS_ENDPOINT_URL_DYNAMODB=https://tables.example.org
AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE
AWS_SECRET_ACCESS_KEY=of-a-user-that-may-do-what-worker.json-says
FACEFLEET_BACKEND=aws
FACEFLEET_FLEETS=openstack:5
FACEFLEET_INPUT_BUCKET=my-input
FACEFLEET_OUTPUT_BUCKET=my-output
FACEFLEET_STATE_BUCKET=my-state
FACEFLEET_MODELS=/opt/facefleet/models
END
/tmp/facefleet/ami/install.sh workers
