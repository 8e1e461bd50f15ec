# MLServer with its scikit-learn runtime, installed from wheels in the context.
# The model folder is mounted at /models or copied there by an image on top.
ARG BASE=localhost/seatrial-base:bookworm
FROM ${BASE} AS build
COPY wheels /wheels
COPY mlserver.lock /mlserver.lock
RUN python3 -m venv /opt/mlserver \
 && /opt/mlserver/bin/pip install --no-index --find-links=/wheels --no-deps --require-hashes -r /mlserver.lock \
 && /opt/mlserver/bin/pip uninstall --yes pip

FROM ${BASE}
COPY --from=build /opt/mlserver /opt/mlserver
ENV PATH=/opt/mlserver/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    MLSERVER_PARALLEL_WORKERS=0 \
    MLSERVER_METRICS_DIR=/tmp/mlserver-metrics \
    MLSERVER_ENVIRONMENTS_DIR=/tmp/mlserver-environments
# MLServer writes below its working folder; only /tmp has to be writable.
WORKDIR /tmp
USER 1000:1000
EXPOSE 8080 8081 8082
CMD ["mlserver", "start", "/models"]
