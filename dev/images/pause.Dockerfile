# The statically linked command, and nothing else.
FROM scratch
COPY pause /pause
ENTRYPOINT ["/pause"]
