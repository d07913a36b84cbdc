#!/bin/bash
# Runs once, in InfluxDB's first start: a token for Andon that may only write, one for Grafana that may only read.
set -euo pipefail
umask 0027
token() { # the value of a new token with these rights
    influx auth create --org "$DOCKER_INFLUXDB_INIT_ORG" --json "$@" | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p'
}
bucket=$DOCKER_INFLUXDB_INIT_BUCKET_ID
token --description andon --write-bucket "$bucket" >/run/tokens/andon
token --description grafana --read-bucket "$bucket" >/run/tokens/grafana
for name in andon grafana; do
    [ -s "/run/tokens/$name" ] || { echo "no token for $name was made" >&2; exit 1; }
done
