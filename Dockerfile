# syntax=docker/dockerfile:1
# With a bill of materials and provenance attached to the image:
#   docker buildx build --sbom=true --provenance=true --build-arg VERSION=1.0.0 --build-arg REVISION=$(git rev-parse HEAD) \
#     --build-arg CREATED=$(date -u +%FT%TZ) --build-arg SOURCE=https://git.example/chat --tag registry.example/chat:1.0.0 --push .
FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /source
# Restores packages in a layer of its own, so that a code change does not restore them again.
COPY global.json NuGet.config Directory.Build.props Directory.Packages.props ./
COPY src/Chat/Chat.csproj src/Chat/packages.lock.json src/Chat/
RUN dotnet restore src/Chat --locked-mode -p:EmbeddedServers=false
COPY .editorconfig ./
COPY src/Chat src/Chat
# Without the embedded PostgreSQL and Redis, which only Development uses.
ARG VERSION=0.0.0
RUN dotnet publish src/Chat --no-restore -c Release -p:EmbeddedServers=false -p:Version=$VERSION -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0
# Labels of the OCI image specification. Whoever builds the image supplies the source and the license (an SPDX expression);
# otherwise they stay empty.
ARG VERSION=0.0.0
ARG REVISION
ARG CREATED
ARG SOURCE
ARG VENDOR
ARG LICENSES
LABEL org.opencontainers.image.title="chat" \
    org.opencontainers.image.description="A self-hosted real-time chat server" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.created="$CREATED" \
    org.opencontainers.image.source="$SOURCE" \
    org.opencontainers.image.url="$SOURCE" \
    org.opencontainers.image.documentation="$SOURCE" \
    org.opencontainers.image.vendor="$VENDOR" \
    org.opencontainers.image.authors="$VENDOR" \
    org.opencontainers.image.licenses="$LICENSES" \
    org.opencontainers.image.base.name="mcr.microsoft.com/dotnet/aspnet:10.0"
WORKDIR /app
COPY --from=build /app ./
# Writes nothing to the file system, which may be read-only. No diagnostics socket in /tmp either.
ENV ASPNETCORE_ENVIRONMENT=Production \
    ASPNETCORE_HTTP_PORTS=8080 \
    DOTNET_EnableDiagnostics=0
USER $APP_UID
EXPOSE 8080
# Needs neither a shell nor curl in the image.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["dotnet", "Chat.dll", "health"]
ENTRYPOINT ["dotnet", "Chat.dll"]
