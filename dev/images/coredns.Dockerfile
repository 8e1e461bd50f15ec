# The statically linked command, and nothing else.
FROM scratch
COPY coredns /coredns
ENTRYPOINT ["/coredns"]
