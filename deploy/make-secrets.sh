#!/bin/sh
# Makes what compose.yaml needs and nobody may know: an authority of your own, certificates, random passwords and keys.
#
#   sudo ./make-secrets.sh [NAME ...]        NAME: how browsers and machines call this machine, besides localhost
#   sudo ./make-secrets.sh --device NAME     a certificate for one machine at the broker; NAME is its place in the topic
#
# All lies in secrets/ (or $ANDON_SECRETS), each service's part readable by its user alone. What is there stays as it is:
# to renew a certificate or a password, delete it and run this again. Needs openssl 1.1.1 or newer, and nothing else.
set -eu
umask 077
cd "$(dirname "$0")"
here=$(pwd)
secrets=${ANDON_SECRETS:-$here/secrets}
days_ca=3650
days=825

fail() { echo "make-secrets: $1" >&2; exit 1; }

# A name that can stand in a certificate, a path and an MQTT topic.
named() {
    case $1 in
        "" | *[!A-Za-z0-9._-]* | .* | -*) fail "'$1' cannot be a name: letters, digits, dot, dash and underscore only" ;;
    esac
    [ "${#1}" -le 64 ] || fail "'$1' is longer than 64 characters"
}

authority() {
    [ -s "$secrets/ca/ca.key" ] && return
    mkdir -p "$secrets/ca"
    openssl ecparam -name prime256v1 -genkey -noout -out "$secrets/ca/ca.key"
    openssl req -x509 -new -key "$secrets/ca/ca.key" -sha256 -days "$days_ca" -out "$secrets/ca/ca.crt" \
        -config /dev/stdin <<END
[req]
distinguished_name = dn
x509_extensions = v3
prompt = no
[dn]
CN = Andon's authority at $(hostname | cut -c 1-40)
[v3]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END
    echo "made  $secrets/ca: keep ca.key away from this machine if you can; ca.crt is what others trust"
}

# certificate FILE CN serverAuth|clientAuth [SAN]
certificate() {
    [ -s "$1.crt" ] && [ -s "$1.key" ] && return
    mkdir -p "$(dirname "$1")"
    [ -s "$1.key" ] || openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
    openssl req -new -key "$1.key" -subj "/CN=$2" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -sha256 -days "$days" -CA "$secrets/ca/ca.crt" -CAkey "$secrets/ca/ca.key" \
        -set_serial "0x00$(openssl rand -hex 16)" -out "$1.crt" -extfile /dev/stdin 2>"$1.said" <<END || fail "$1.crt: $(cat "$1.said")"
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = $3
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
${4:+subjectAltName = $4}
END
    rm "$1.csr" "$1.said"
    echo "made  $1.crt"
}

random() { # FILE: 32 random bytes as text, unless it is there
    [ -s "$1" ] && return
    mkdir -p "$(dirname "$1")"
    openssl rand -hex 32 >"$1"
    echo "made  $1"
}

own() { # DIRECTORY UID GID: for that user alone
    chmod 0700 "$secrets/$1"
    find "$secrets/$1" -type f -exec chmod 0400 {} +
    [ "$(id -u)" -ne 0 ] || chown -R "$2:$3" "$secrets/$1"
}

command -v openssl >/dev/null || fail "openssl is missing; cure: apt install openssl"

if [ "${1:-}" = --device ]; then
    named "${2:-}"
    case $2 in andon | probe) fail "'$2' is a name of ours; call the machine something else" ;; esac
    [ -s "$secrets/ca/ca.key" ] || fail "there is no authority in $secrets/ca; run make-secrets.sh without --device first"
    certificate "$secrets/devices/$2" "$2" clientAuth
    echo "give the machine $secrets/devices/$2.crt, $2.key and $secrets/ca/ca.crt; it may publish to andon/v1/+/+/+/+/+/$2/#"
    exit 0
fi

outside=
for name in "$(hostname)" "$@"; do
    named "$name"
    case $name in
        *[!0-9.]*) outside="$outside,DNS:$name" ;;
        *) outside="$outside,IP:$name" ;;
    esac
done
mkdir -p "$secrets"
authority
for service in andon mosquitto influxdb grafana; do
    certificate "$secrets/$service/$service" "$service" serverAuth "DNS:$service,DNS:localhost,IP:127.0.0.1$outside"
done
certificate "$secrets/andon/mqtt" andon clientAuth
certificate "$secrets/mosquitto/probe" probe clientAuth
random "$secrets/influxdb/admin.password"
random "$secrets/influxdb/admin.token"
random "$secrets/grafana/admin.password"
random "$secrets/grafana/secret.key"
mkdir -p "$secrets/victoria" "$secrets/tokens"
for service in andon mosquitto grafana victoria; do
    cp -f "$secrets/ca/ca.crt" "$secrets/$service/ca.crt"
done
rm -f "$secrets/mosquitto/mosquitto.conf"
sed -e 's|/etc/mosquitto/certs/|/run/secrets/|' -e 's|/var/lib/mosquitto/|/mosquitto/data/|' mosquitto.conf \
    >"$secrets/mosquitto/mosquitto.conf"

own ca 0 0
own andon 10001 10001
own mosquitto 1883 1883
own influxdb 1000 1000
own grafana 472 0
own victoria 0 0
chmod 0750 "$secrets/tokens"
if [ "$(id -u)" -eq 0 ]; then
    chown 1000:1000 "$secrets/tokens"
else
    echo "made by $(id -un): containers cannot read it yet. Cure: sudo $here/make-secrets.sh"
fi
echo "ready $secrets"
