# Sourced by bin/up and bin/test, from the project folder: makes .venv and installs into it.
# POSIX sh, since it runs before anything of ours is there.

PYTHON=.venv/bin/python
INSTALLING=.venv/.installing # there while pip works: an interrupted install is made anew
INSTALL_LOG=.venv/install.log
ENOUGH_KB=600000

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1 PIP_USER=0
unset PYTHONHOME

fail() {
    printf '%s: %s\n' "$NAME" "$1" >&2
    exit 1
}

# install REQUIREMENTS [INCLUDED...]: stamps are written last; the first one's is made of all.
install() {
    stamp=.venv/.installed-$1
    refuse_second_install
    if [ ! -e "$INSTALLING" ] && cat "$@" | cmp -s - "$stamp" && "$PYTHON" -c '' 2>/dev/null; then
        return
    fi
    refuse_full_disk
    if [ -e "$INSTALLING" ] || ! "$PYTHON" -m pip --version >/dev/null 2>&1; then
        make_environment
    fi
    run_pip "$1"
    for included in "$@"; do
        cat "$included" >".venv/.installed-$included"
    done
    cat "$@" >"$stamp"
    rm -f "$INSTALLING"
}

refuse_second_install() {
    if [ -s "$INSTALLING" ] && kill -0 "$(cat "$INSTALLING")" 2>/dev/null; then
        fail "process $(cat "$INSTALLING") is installing into .venv right now; if it is not, remove $INSTALLING."
    fi
}

refuse_full_disk() {
    free=$(df -Pk . | { read -r _; read -r _ _ _ kb _; echo "$kb"; })
    [ "$free" -ge "$ENOUGH_KB" ] || fail "only $((free / 1024)) MB are free on this disk; the installation needs $((ENOUGH_KB / 1024)) MB."
}

make_environment() {
    python=$(find_python) || fail "Python 3.11 or newer is needed, and none was found on PATH."
    echo "Making .venv with $("$python" -V)."
    if ! said=$("$python" -m venv --clear .venv 2>&1); then
        case $said in
        *ensurepip* | *"No module named venv"*)
            fail "$python cannot make virtual environments: install its venv package first (Debian, Ubuntu: apt-get install python3-venv)." ;;
        *"No space left"*) fail "the disk is full." ;;
        *) fail "$python could not make .venv: $said" ;;
        esac
    fi
}

find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$python"
            return
        fi
    done
    return 1
}

run_pip() {
    echo $$ >"$INSTALLING"
    echo "Installing $1 into .venv (the first time takes a minute):"
    { "$PYTHON" -m pip install --progress-bar off --retries 2 --timeout 20 -r "$1" 2>&1 || echo "pip has failed"; } |
        tee "$INSTALL_LOG" | show_progress
    if tail -n 1 "$INSTALL_LOG" | grep -q '^pip has failed$'; then
        rm -f "$INSTALLING" # pip undoes what it could not finish
        explain_failure
    fi
}

show_progress() {
    while IFS= read -r line; do
        case $line in
        "Collecting "*) line=${line#Collecting }; printf ' %s' "${line%%[<>=~!; (]*}" ;;
        "Installing collected"*) printf '\n  unpacking ...' ;;
        *"Retrying ("*) printf '\n  the package index does not answer, trying again ...' ;;
        esac
    done
    echo
}

explain_failure() {
    sed '$d' "$INSTALL_LOG" | tail -n 8 >&2
    if grep -q "No space left" "$INSTALL_LOG"; then
        fail "the installation failed because the disk is full."
    elif grep -q -e "Retrying (" -e "No matching distribution" -e "Network is unreachable" "$INSTALL_LOG"; then
        fail "the installation failed: the package index cannot be reached, or has no package for this Python (all of it: $INSTALL_LOG)."
    fi
    fail "the installation failed (all of pip's output: $INSTALL_LOG)."
}
