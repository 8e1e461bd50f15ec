# Prometheus with the C library that it is linked to.
FROM scratch
COPY libraries /
COPY prometheus /usr/local/bin/prometheus
COPY empty /tmp
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["prometheus"]
