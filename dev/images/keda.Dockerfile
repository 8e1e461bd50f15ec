# The statically linked command, and nothing else.
FROM scratch
COPY keda /keda
USER 65532:65532
ENTRYPOINT ["/keda"]
