# The service in an image: what `hangtag serve` needs and nothing else; `make image-check` builds it and holds it to this.
#
#   docker build -t hangtag .
#   docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges -p 127.0.0.1:8000:8000 \
#       --env HANGTAG_ANONYMOUS=true hangtag
#
# It listens on all addresses, so it wants keys, or to be told that whoever reaches it may ask, as here, where only this
# machine does. With keys, in a folder that group 10001 may read:
#
#   --volume /etc/hangtag:/etc/hangtag:ro --env HANGTAG_KEYS=/etc/hangtag/keys.json
#
# Of 393 MiB, measured on a bookworm base: base 169, numpy 69, onnxruntime 66, the models 22, Pillow 21, uvloop 14, others 33.
# It writes nothing, so a read-only root file system needs no tmpfs. A private package index reaches the build, and not
# the image, as a secret: docker build --secret id=pip.conf,src=$HOME/.config/pip/pip.conf .

# Any Debian or Ubuntu with python3 (3.11 or newer) and python3-venv will do.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python3 -m venv /opt/hangtag
COPY requirements/serve.txt requirements/
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca.pem,target=/run/secrets/ca.pem \
    /opt/hangtag/bin/pip install --require-hashes --requirement requirements/serve.txt
# pyproject.toml names every package of the repository; those that serving does not need are empty here.
COPY pyproject.toml README.md hangtag.py ./
COPY artifact artifact
COPY service service
RUN mkdir -p benchmarks catalog export training/recipes \
    && /opt/hangtag/bin/pip install --no-index --no-deps --no-build-isolation . \
    && /opt/hangtag/bin/pip uninstall --yes setuptools pip
COPY models /models
# Of the models, what serves: whoever goes back takes the image of before.
RUN /opt/hangtag/bin/hangtag models gc --models /models --all --keep 1
# The bytecode is made here, once, and not at each start; whoever may run the service may read it, and only root may write.
RUN /opt/hangtag/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/hangtag/lib \
    && chmod -R a+rX,go-w /opt/hangtag /models

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="hangtag" \
      org.opencontainers.image.description="Looks at a product photo and says what it is, over REST." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/hangtag/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HANGTAG_HOST=0.0.0.0 \
    HANGTAG_PORT=8000 \
    HANGTAG_MODELS=/models
COPY --from=build /opt/hangtag /opt/hangtag
COPY --from=build /models /models
# The base may bring Python's own library without bytecode: this writes what serving, and the health check, import of it.
RUN PYTHONDONTWRITEBYTECODE= python -c 'import http.client, service.command'
WORKDIR /
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["python", "-IS", "-c", "import http.client, os, sys; service = http.client.HTTPConnection('127.0.0.1', int(os.environ['HANGTAG_PORT']), timeout=2); service.request('GET', '/health/ready'); sys.exit(service.getresponse().status != 200)"]
ENTRYPOINT ["hangtag"]
CMD ["serve"]
