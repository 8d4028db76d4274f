#!/bin/sh
# Runs once, in the container, on an empty volume.
exec psql -X -U postgres -v owner_password_file=/run/secrets/postgres-owner -v node_password_file=/run/secrets/postgres-node \
  -f /etc/chat/roles.sql postgres
