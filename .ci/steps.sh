# What `run` and `deep` share: the guard, steps that are timed and counted, and the closing line. Sourced, not run.

# The toolchains are what they are: no tool may fetch parts of one.
export RUSTUP_DIST_SERVER=http://127.0.0.1:9 RUSTUP_UPDATE_ROOT=http://127.0.0.1:9 RUSTUP_AUTO_INSTALL=0
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
unset RUSTFLAGS RUSTDOCFLAGS

cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

# Builds with other flags go to folders of their own, so that none throws away the cache of another.
base=${CARGO_TARGET_DIR:-$PWD/target}
[[ $base = /* ]] || base=$PWD/$base
export CARGO_TARGET_DIR=$base
tools=$base/tools
export PATH=$PATH:$tools/bin

passed=0
failures=()
skips=()
started=$SECONDS

# step TITLE COMMAND..: runs it under a heading; a failure is counted and the next step runs all the same.
step() {
    local title=$1 from=$SECONDS code=0
    shift
    printf '\n== %s\n' "$title"
    # In a shell of its own that stops at the first failure, which `if` or `||` would switch off here.
    set +e
    (set -euo pipefail && "$@")
    code=$?
    set -e
    if ((code == 0)); then
        passed=$((passed + 1))
        printf -- '-- ok, %d s\n' $((SECONDS - from))
    else
        failures+=("$title")
        printf -- '-- FAILED (exit %d), %d s\n' "$code" $((SECONDS - from))
    fi
}

# skip TITLE REASON: counted, and listed again at the end.
skip() {
    skips+=("$1: $2")
    printf '\n== %s\n-- SKIPPED: %s\n' "$1" "$2"
}

# Lists what failed and what was skipped, and ends with the counts; the exit code tells of failures.
closing() {
    printf '\n== Summary, %d s\n' $((SECONDS - started))
    local line
    for line in "${failures[@]}"; do printf 'FAILED: %s\n' "$line"; done
    for line in "${skips[@]}"; do printf 'SKIPPED: %s\n' "$line"; done
    printf '%d passed, %d failed, %d skipped\n' "$passed" "${#failures[@]}" "${#skips[@]}"
    ((${#failures[@]} == 0))
}

# have_tool COMMAND PACKAGE: whether the command is there, if need be from Debian's package.
have_tool() {
    command -v "$1" >/dev/null && return
    [[ $(id -u) == 0 ]] && apt-get install -y --no-install-recommends "$2" >/dev/null 2>&1
    command -v "$1" >/dev/null
}

# step_with COMMAND PACKAGE TITLE STEP..: a step that wants a tool; without it, it is skipped.
step_with() {
    if have_tool "$1" "$2"; then
        step "${@:3}"
    else
        skip "$3" "$1 is not there, and Debian's package $2 does not install"
    fi
}

# The features that Cargo.toml declares.
features() {
    awk '/^\[/ { inside = ($0 == "[features]") } inside && /^[a-z0-9_-]+ *=/ { print $1 }' Cargo.toml | grep -vx default
}

# Each recipe starts a server, talks to it with a real client, and exits.
recipes() {
    local recipe
    for recipe in examples/codec.rs examples/recipe_*; do
        recipe=${recipe##*/}
        timeout 120 cargo run --example "${recipe%.rs}"
    done
}

have_nightly() {
    cargo +nightly --version >/dev/null 2>&1
}

have_cargo_fuzz() {
    cargo fuzz --version >/dev/null 2>&1 ||
        cargo install --locked --root "$tools" --target-dir "$tools/target" cargo-fuzz --version '^0.13' >/dev/null 2>&1
}

# loom_models SECONDS [ARGUMENT..]: runs the models, each with the bound of preemptions that it names itself unless
# LOOM_MAX_PREEMPTIONS says otherwise, and counts those that ran. Built without its cfg a model is no
# test at all, and a model with one execution has checked nothing: both would be green.
loom_models() {
    local log=$base/loom.log lines idle
    (
        cd loom-tests
        export RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=$base/loom
        timeout "$1" cargo test --release -- --nocapture --test-threads 1 "${@:2}" 2>&1
    ) | tee "$log"
    lines=$(grep -oE '^model .+: [0-9]+ executions' "$log" || true)
    idle=$(awk '{ if ($(NF - 1) < 2) print }' <<<"$lines")
    if [[ -z $lines ]]; then
        echo 'no loom model ran'
        return 1
    fi
    if [[ -n $idle ]]; then
        printf 'models that checked nothing:\n%s\n' "$idle"
        return 1
    fi
    printf '%d models ran\n' "$(wc -l <<<"$lines")"
}

fuzz_targets() {
    sed -nE '/^\[\[bin\]\]/,/^$/ s/^name *= *"([^"]+)".*/\1/p' fuzz/Cargo.toml
}

fuzz_build() {
    cargo +nightly fuzz build --target-dir "$base/fuzz"
}

# fuzz_run TARGET SECONDS
fuzz_run() {
    mkdir -p "fuzz/corpus/$1"
    timeout $(($2 + 600)) cargo +nightly fuzz run --target-dir "$base/fuzz" "$1" -- \
        -max_total_time="$2" -max_len=2048 -len_control=20 -timeout=20 -print_final_stats=1
}

# fuzz_all SECONDS: builds the targets and runs each one, where the tools for it are there.
fuzz_all() {
    local target
    if ! have_nightly; then
        skip 'fuzz targets' 'there is no nightly toolchain'
    elif ! have_cargo_fuzz; then
        skip 'fuzz targets' 'cargo-fuzz is not there and does not install'
    else
        step 'fuzz: build' fuzz_build
        for target in $(fuzz_targets); do
            step "fuzz: $target, $1 s" fuzz_run "$target" "$1"
        done
    fi
}
