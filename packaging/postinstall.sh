#!/bin/sh
# Makes the user and the first key. It changes neither when they are there.
set -eu
if ! getent passwd dialproof >/dev/null; then
	useradd --system --user-group --home-dir /var/lib/dialproof --no-create-home --shell /usr/sbin/nologin dialproof
fi
key=/etc/dialproof/key-1
if [ ! -e "$key" ]; then
	(umask 077 && head -c 32 /dev/urandom | base64 >"$key.new" && mv "$key.new" "$key")
fi
chown root:dialproof /etc/dialproof/dialproof.yaml
chmod 0640 /etc/dialproof/dialproof.yaml
chown dialproof:dialproof "$key"
chmod 0400 "$key"
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
