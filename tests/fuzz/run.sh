#!/bin/sh
# Builds the fuzz targets on the nightly toolchain and runs each for a while: tests/fuzz/run.sh [SECONDS] [TARGET...]
# A finding stops it with a non-zero exit and leaves the input under target/artifacts/.
set -eu
cd "$(dirname "$0")"

seconds=${1:-10}
[ $# -gt 0 ] && shift
targets=${*:-pipeline_file batch json_fields table_wire program_frames epoch_log api_bodies job_files control_socket batch_wire answer_wire message state_changes tensor_wire}

if ! cargo +nightly --version >/dev/null 2>&1; then
    why="no nightly toolchain (rustup toolchain install nightly)"
    case ",${SAGE_TEST_REQUIRE:-}," in
        *,nightly,*) echo "SAGE_TEST_REQUIRE requires nightly, but $why" >&2; exit 1 ;;
    esac
    echo "fuzz: skipped: $why"
    [ -z "${SAGE_TEST_SKIPS:-}" ] || printf 'nightly\ttests/fuzz/run.sh\t%s\n' "$why" >> "$SAGE_TEST_SKIPS"
    exit 0
fi

host=$(rustc +nightly -vV | sed -n 's/^host: //p')
target_dir=${FUZZ_TARGET_DIR:-$PWD/target}
# The flags that cargo-fuzz passes. The --target option keeps them away from build scripts and macros.
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"
# These modules have no `unsafe`, so a sanitizer finds little in them; SANITIZER=address turns it on.
if [ -n "${SANITIZER:-}" ]; then
    coverage="$coverage -Zsanitizer=$SANITIZER"
fi

# The targets that need the whole host are built with coverage for the host alone.
light= heavy= features=
for target in $targets; do
    case $target in
    pipeline_file | batch | json_fields | table_wire | program_frames | epoch_log) light="$light --bin $target" ;;
    api_bodies | job_files | control_socket) light="$light --bin $target" features="--features serve" ;;
    *) heavy="$heavy --bin $target" ;;
    esac
done

echo "fuzz: building $targets"
unset CARGO_ENCODED_RUSTFLAGS
# shellcheck disable=SC2086 # options are words
if [ -n "$light" ]; then
    CARGO_TARGET_DIR=$target_dir RUSTFLAGS=$coverage cargo +nightly build --release --quiet $features $light --target "$host"
fi
# shellcheck disable=SC2086 # options are words
if [ -n "$heavy" ]; then
    CARGO_TARGET_DIR=$target_dir SAGE_COVERAGE=$coverage RUSTC_WRAPPER=$PWD/instrument.sh \
        cargo +nightly build --profile workers --features workers --quiet $heavy --target "$host"
fi

for target in $targets; do
    corpus=$target_dir/corpus/$target
    artifacts=$target_dir/artifacts/$target
    mkdir -p "$corpus" "$artifacts"
    options="-max_total_time=$seconds -rss_limit_mb=1024 -timeout=10 -verbosity=0 -print_final_stats=1"
    if [ "$target" = pipeline_file ]; then
        options="$options -dict=pipeline_file.dict"
        for file in ../../host/crates/plan/tests/plan_cases/*/pipeline.toml; do
            cp "$file" "$corpus/case-$(basename "$(dirname "$file")")"
        done
    fi
    folder=workers
    case $target in
    pipeline_file | batch | json_fields | table_wire | program_frames | epoch_log | api_bodies | job_files | control_socket) folder=release ;;
    esac
    if [ -d "corpus/$target" ]; then
        cp "corpus/$target"/* "$corpus"
    fi
    echo "fuzz: $target for $seconds s"
    # shellcheck disable=SC2086 # options are words
    "$target_dir/$host/$folder/$target" $options -artifact_prefix="$artifacts/" "$corpus"
done
