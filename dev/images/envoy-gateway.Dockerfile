# The statically linked command. Envoy Gateway starts this same image as the
# shutdown manager of its proxies, by the command's name.
FROM scratch
COPY envoy-gateway /usr/local/bin/envoy-gateway
COPY empty /tmp
COPY empty /var/lib/eg
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["envoy-gateway"]
