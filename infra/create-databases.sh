#!/bin/sh
# One database and one user for each server, made when PostgreSQL starts on an empty folder.
# Takes PREFECT_DB_PASSWORD and MLFLOW_DB_PASSWORD from the environment.
set -eu
psql -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    -v prefect_password="${PREFECT_DB_PASSWORD:?}" -v mlflow_password="${MLFLOW_DB_PASSWORD:?}" <<'SQL'
CREATE USER prefect PASSWORD :'prefect_password';
CREATE USER mlflow PASSWORD :'mlflow_password';
CREATE DATABASE prefect OWNER prefect;
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE mlflow_auth OWNER mlflow;
SQL
