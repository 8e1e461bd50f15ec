# Envoy with the few C libraries that it is linked to.
FROM scratch
COPY libraries /
COPY envoy /usr/local/bin/envoy
COPY empty /tmp
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["envoy"]
