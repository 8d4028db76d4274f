-- Creates the database and three roles, none of them a superuser: chat_owner owns the tables and runs db-apply; the nodes
-- use chat, which only reads and writes rows; chat_backup takes base backups, and reads for the drill. Run it as a
-- superuser, before the first db-apply and at each password rotation. The passwords are read from files, so that no process
-- list and no log shows them:
--   psql -X -v owner_password_file=owner -v node_password_file=node -v backup_password_file=backup -f deploy/postgresql/roles.sql postgres
-- Without backup_password_file chat_backup is not created. If Storage__Schema is set, add -v schema=….
\set ON_ERROR_STOP on
\if :{?schema} \else
  \set schema chat
\endif
\set owner_password `cat :'owner_password_file'`
\set node_password `cat :'node_password_file'`
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;

SELECT format('CREATE ROLE %I LOGIN', name) FROM (VALUES ('chat_owner'), ('chat')) AS wanted (name)
  WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
ALTER ROLE chat_owner NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'owner_password';
ALTER ROLE chat NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'node_password';

\if :{?backup_password_file}
  \set backup_password `cat :'backup_password_file'`
  SELECT 'CREATE ROLE chat_backup LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'chat_backup') \gexec
  ALTER ROLE chat_backup NOSUPERUSER NOCREATEDB NOCREATEROLE REPLICATION PASSWORD :'backup_password';
  GRANT pg_read_all_data TO chat_backup;
\endif

SELECT 'CREATE DATABASE chat OWNER chat_owner' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'chat') \gexec
REVOKE ALL ON DATABASE chat FROM PUBLIC;
GRANT CONNECT ON DATABASE chat TO chat;
SELECT 'GRANT CONNECT ON DATABASE chat TO chat_backup' WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = 'chat_backup') \gexec
\connect chat
CREATE SCHEMA IF NOT EXISTS :"schema" AUTHORIZATION chat_owner;

-- A node's privileges: rows, and the functions that write them. Default privileges cover what later db-apply runs create.
GRANT USAGE ON SCHEMA :"schema" TO chat;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA :"schema" TO chat;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA :"schema" TO chat;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA :"schema" TO chat;
ALTER DEFAULT PRIVILEGES FOR ROLE chat_owner IN SCHEMA :"schema" GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO chat;
ALTER DEFAULT PRIVILEGES FOR ROLE chat_owner IN SCHEMA :"schema" GRANT USAGE ON SEQUENCES TO chat;
ALTER DEFAULT PRIVILEGES FOR ROLE chat_owner IN SCHEMA :"schema" GRANT EXECUTE ON ROUTINES TO chat;
