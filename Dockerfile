# The image of pilotfish:
#   docker build -t pilotfish:0.1.0 .
# It runs what /etc/pilotfish/pilotfish.toml says; conf/docker/pilotfish.toml is one for docker-compose.yml. The image of the
# CLIs is conf/docker/copilot-cli.Dockerfile.

FROM rust:1.95.0-bookworm AS build
# cmake of any version will do.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src src
# Cargo wants to see the targets that Cargo.toml names, also those that are not built.
COPY benches benches
COPY tests/it tests/it
RUN cargo build --release --locked --bin pilotfish

FROM debian:12.11-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /build/target/release/pilotfish /usr/local/bin/pilotfish
USER 65532:65532
EXPOSE 4320 4321
# The first signal begins the drain; a second one would cut it short.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["pilotfish", "status", "--config", "/etc/pilotfish/pilotfish.toml"]
ENTRYPOINT ["pilotfish"]
CMD ["run", "--config", "/etc/pilotfish/pilotfish.toml"]
