#!/bin/sh
# Find a Python of 3.11 to 3.13, for which the lists are locked, and let it make an environment: run.sh gateway|model|lock
# Written for any POSIX shell, because a Python that is too old can't explain itself.
set -eu
cd "$(dirname "$0")/../.."

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1
}

if [ -n "${PYTHON:-}" ]; then
    if ! fits "$PYTHON"; then
        echo "PYTHON=$PYTHON is no Python 3.11, 3.12 or 3.13: $("$PYTHON" --version 2>&1 || true)" >&2
        echo "Give another one, such as: make PYTHON=/usr/bin/python3.12 env" >&2
        exit 1
    fi
    exec "$PYTHON" -m deploy.environments "$@"
fi

for candidate in python3 python3.11 python3.12 python3.13; do
    if fits "$candidate"; then
        exec "$candidate" -m deploy.environments "$@"
    fi
done

echo "Braid needs Python 3.11, 3.12 or 3.13, and this machine has: $(python3 --version 2>&1 || echo none)" >&2
echo "Install one (Debian and Ubuntu: apt install python3.11 python3.11-venv), or name it: make PYTHON=/path/to/python3.11" >&2
exit 1
