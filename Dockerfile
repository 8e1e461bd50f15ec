# The operator. The context is build-out/image, made by `make image-context`: wheels for this base's Python, so that
# nothing is fetched while building. `make image` does both.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
COPY wheels /wheels
COPY runtime.lock /runtime.lock
# The pip that installs stays behind. Byte code is made now, since the root file system will be read-only; not for the
# thousand generated classes of the Kubernetes client, which nothing here imports (objects are plain dicts).
RUN python3 -m venv /installer \
 && python3 -m venv --without-pip /opt/seatrial \
 && /installer/bin/pip --python /opt/seatrial/bin/python install --no-index --find-links=/wheels --no-cache-dir \
      --no-compile --no-deps --require-hashes -r /runtime.lock \
 && /installer/bin/pip --python /opt/seatrial/bin/python install --no-index --no-cache-dir --no-compile --no-deps \
      /wheels/seatrial-*.whl \
 && /opt/seatrial/bin/python -m compileall -q -x 'kubernetes/.*client/(api|models)/[a-z]' /opt/seatrial/lib

FROM ${BASE}
COPY --from=build /opt/seatrial /opt/seatrial
# USER, since the number has no line in /etc/passwd, and Kopf asks who it is.
ENV PATH=/opt/seatrial/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    USER=seatrial \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title="seatrial" \
      org.opencontainers.image.description="Puts machine-learning models through a trial before they serve" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /tmp
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["seatrial"]
CMD ["run"]
