# syntax=docker/dockerfile:1
FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /source
# What the packages depend on comes first, so that a change of the code does not restore them again.
COPY global.json NuGet.config Directory.Build.props Directory.Packages.props ./
COPY src/Chat/Chat.csproj src/Chat/packages.lock.json src/Chat/
RUN dotnet restore src/Chat --locked-mode
COPY .editorconfig ./
COPY src/Chat src/Chat
RUN dotnet publish src/Chat --no-restore -c Release -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0
WORKDIR /app
COPY --from=build /app ./
# Writes nothing to the file system: it may be read-only. No diagnostics socket in /tmp either.
ENV ASPNETCORE_ENVIRONMENT=Production \
    ASPNETCORE_HTTP_PORTS=8080 \
    DOTNET_EnableDiagnostics=0
USER $APP_UID
EXPOSE 8080
# The image has neither curl nor wget, and bash can ask by itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /health/ready HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["dotnet", "Chat.dll"]
