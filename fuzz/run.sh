#!/usr/bin/env bash
# fuzz/run.sh SECONDS [TARGET...]: each target for so long from its kept corpus, built by stable Rust without sanitizers.
# What is found new goes to target/; a crash fails the run and says where its input is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
seconds=$1
shift
targets=("$@")
[ $# -gt 0 ] || targets=(envelope filter inflate session ws_decoder)
host=$(rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz passes, of which nothing needs nightly. `--target` keeps it from build scripts and macros.
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
RUSTFLAGS="$coverage -Cdebug-assertions -Ccodegen-units=1" CARGO_INCREMENTAL=0 \
    cargo build --release --locked --quiet --target "$host" --target-dir target/stable
for target in "${targets[@]}"; do
    found=target/found/$target
    mkdir -p "$found/corpus"
    log=$found/log
    if ! "target/stable/$host/release/$target" "$found/corpus" "kept/$target" -max_total_time="$seconds" -max_len=4096 -timeout=20 \
        -rss_limit_mb=2048 -artifact_prefix="$found/" >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "fuzz: $target failed; its input is $(ls -t "$PWD/$found"/{crash,timeout,oom,leak}-* 2>/dev/null | head -n 1)" >&2
        exit 1
    fi
    echo "$target: $(grep -aoE 'Done [0-9]+ runs in [0-9]+' "$log") s"
done
