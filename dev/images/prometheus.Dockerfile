# The statically linked command, and nothing else.
FROM scratch
COPY prometheus /usr/local/bin/prometheus
COPY empty /tmp
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["prometheus"]
