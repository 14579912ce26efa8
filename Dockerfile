# Two images from one file:
#   docker build --target pilotfish -t pilotfish .
#   docker build --target copilot-cli -t copilot-cli .

FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
COPY conf conf
COPY tests/it tests/it
RUN cargo build --release --locked --bin pilotfish

FROM node:20-bookworm-slim AS copilot-cli
# The binary itself rather than npm's script, which would stay as its parent and not pass signals on.
RUN npm install --global --no-audit --no-fund @github/copilot@1.0.102 \
    && ln -s "$(find "$(npm root --global)/@github" -path '*copilot-linux-*/copilot' -type f | head -n 1)" /usr/local/bin/copilot-server
ENV COPILOT_HOME=/var/lib/copilot
RUN mkdir -p /var/lib/copilot /work && chown node:node /var/lib/copilot /work
USER node
WORKDIR /work
EXPOSE 4321
ENTRYPOINT ["copilot-server", "--headless", "--no-auto-update"]
CMD ["--host", "0.0.0.0", "--port", "4321"]

FROM debian:bookworm-slim AS pilotfish
COPY --from=build /build/target/release/pilotfish /usr/local/bin/pilotfish
USER 65532:65532
EXPOSE 4320 4321
STOPSIGNAL SIGTERM
ENTRYPOINT ["pilotfish"]
CMD ["run", "--config", "/etc/pilotfish/pilotfish.toml"]
