# The image of a Copilot CLI server for a pool of pilotfish:
#   docker build -f conf/docker/copilot-cli.Dockerfile -t copilot-cli:1.0.102 .
# It has to be given COPILOT_CONNECTION_TOKEN, which pilotfish shows it, and COPILOT_GITHUB_TOKEN, and a volume at
# /var/lib/copilot that all CLIs of the pool share.

FROM node:20.19.2-bookworm-slim AS npm
WORKDIR /npm
ARG COPILOT_VERSION=1.0.102
# The package of this platform has one program that needs no Node.js. npm's script would stay as its parent, and not pass
# signals on.
RUN npm install --no-audit --no-fund --ignore-scripts "@github/copilot@${COPILOT_VERSION}" \
    && mkdir /copilot \
    && cp node_modules/@github/copilot-linux-*/copilot node_modules/@github/copilot-linux-*/LICENSE.md /copilot/

FROM debian:12.11-slim
# What agents use; whatever versions Debian 12 has. tini adopts the processes that they leave behind.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates git libstdc++6 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home copilot \
    && install -d -o copilot -g copilot -m 0700 /var/lib/copilot \
    && install -d -o copilot -g copilot /work
COPY --from=npm /copilot /opt/copilot
COPY conf/docker/copilot-answers conf/docker/copilot-deserted /usr/local/bin/
# It would unpack these 240 MB at its first start, where agents could change them.
RUN COPILOT_SEA_EXTRACT_ONLY=1 COPILOT_PKG_CACHE_HOME=/opt/copilot /opt/copilot/copilot --binary-version
ENV COPILOT_HOME=/var/lib/copilot HOME=/home/copilot COPILOT_PKG_CACHE_HOME=/opt/copilot
USER 10001:10001
WORKDIR /work
VOLUME /var/lib/copilot
EXPOSE 4321
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["copilot-answers", "4321"]
ENTRYPOINT ["tini", "--", "/opt/copilot/copilot"]
# Idle sessions are pilotfish's business (`idle_timeout`); the CLI's own limit is only for those that pilotfish lost sight of.
CMD ["--headless", "--host", "0.0.0.0", "--port", "4321", "--no-auto-update", "--session-idle-timeout", "7200"]
