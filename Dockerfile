# The image holds one static binary and the folder /data; it has no shell and runs as a user without a name.
ARG GO_VERSION=1.26
FROM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY internal/nomsgpack internal/nomsgpack
RUN go mod download
COPY . .
# What "sherpa version" says: the build has no .git to find out. Empty, it says "devel" and "unknown".
ARG VERSION=
ARG COMMIT=
RUN CGO_ENABLED=0 go build -trimpath \
  -ldflags="-s -w -X main.version=$VERSION -X main.commit=$COMMIT" -o /out/sherpa . && mkdir -m 0700 /out/data

FROM scratch
COPY --from=build /out/sherpa /sherpa
COPY --from=build --chown=65532:65532 /out/data /data
# For sslmode=verify-full towards a PostgreSQL whose certificate a public authority has signed.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# The default database, data/sherpa.db, is on the volume: the folder we start in is /.
WORKDIR /
ENV SHERPA_LISTEN=0.0.0.0:5000
USER 65532:65532
VOLUME /data
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s --retries=3 CMD ["/sherpa", "healthcheck"]
ENTRYPOINT ["/sherpa"]
CMD ["serve"]
