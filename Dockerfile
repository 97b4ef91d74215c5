# The chat under workerd: docs/self-hosting.md. ./scripts/image-check does what stands here without a registry of images.
FROM docker.io/library/rust:1.95-slim-trixie AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates g++ libssl-dev nodejs npm pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN ./scripts/build
RUN mkdir -p /app/bin /app/client \
 && cp node_modules/@cloudflare/workerd-*/bin/workerd node_modules/@dbmate/*/bin/dbmate /app/bin/ \
 && strip /app/bin/workerd \
 && cp -r LICENSE build migrations self-hosting /app/ \
 && cp -r client/web /app/client/

FROM docker.io/library/debian:trixie-slim
# For rediss://: whom to trust.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin chat \
 && install -d -o chat -g chat -m 700 /data
COPY --from=build /app /app
ENV PATH=/app/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
USER 10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/app/self-hosting/start", "healthy"]
ENTRYPOINT ["/app/self-hosting/start"]
