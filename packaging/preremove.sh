#!/bin/sh
# Stops the service when the package goes; an upgrade leaves it running until it is restarted.
set -eu
case "${1:-}" in
remove | 0) if [ -d /run/systemd/system ]; then systemctl disable --now dialproof.service || true; fi ;;
esac
