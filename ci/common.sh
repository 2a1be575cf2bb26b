# The beginning of every script: the root folder, its help, its tools. Sourced, never run. Installs missing tools if it
# can, and otherwise says in one line what to do.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Prints the script's first comment, and what its function more_help adds, if it has one.
help() {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
    ! declare -F more_help >/dev/null || more_help
}

# Help needs no tools: nothing is installed or built for it.
case ${1:-} in
    -h | --help)
        help
        exit
        ;;
esac

# Ends the script with one line that says what is wrong and what to do.
die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# Ends a job that cannot run here. The table of ci/test shows the reason.
skip() {
    skip_part "$@"
    exit 77
}

# Says why a part of a job cannot run here, and goes on. The table shows the reason beside the result of the rest.
skip_part() {
    is_partial=1
    echo "SKIPPED: $*" >&2
    [ -z "${CI_SKIPPED:-}" ] || echo "$*" >>"$CI_SKIPPED"
}
is_partial=

# Ends a job if ci/passed.txt notes that it passed with the same inputs: the files and folders named, its own script, the
# compiler. A note says that every part of the job passed on one machine. The tools, the kernel and the speed of that
# machine are not among the inputs, though some jobs depend on them. CI_AGAIN=1 runs a job anyway.
only_if_changed() {
    inputs=$({
        cd "$root"
        find "$@" "ci/${0##*/}" ci/common.sh -name target -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
        rustc -vV
        echo "${RUSTFLAGS:-}"
    } | sha256sum | cut -c 1-32)
    [ -z "${CI_AGAIN:-}" ] || return 0
    if grep -qx "${0##*/} $inputs" "$root/ci/passed.txt"; then
        echo "no source that ${0##*/} depends on has changed since it passed; CI_AGAIN=1 runs it all the same"
        exit 76
    fi
}

# Notes in ci/passed.txt, with CI_RECORD=1, that a job which began with only_if_changed passed, unless it skipped a part.
# Commit that change.
note_passed() {
    [ -n "${CI_RECORD:-}" ] || return 0
    [ -z "$is_partial" ] || { echo "not noted as passed: a part was skipped" >&2; return 0; }
    local list=$root/ci/passed.txt
    (
        # Another job may end at the same moment.
        flock 9
        {
            grep -v "^${0##*/} " "$list"
            echo "${0##*/} $inputs"
        } | LC_ALL=C sort >"$list.new"
        mv "$list.new" "$list"
    ) 9<"$root/ci/common.sh"
}

# Rules of awk that leave out the test modules of Rust files. After them, held is 1 if the line before was an attribute
# #[cfg(test)] of something else, and the program has to set it to 0.
without_tests='
    FNR == 1 { held = in_tests = 0 }
    in_tests { if ($0 == "}") in_tests = 0; next }
    /^#\[cfg\((all\()?test[,)]/ { held = 1; next }
    held && /^(pub(\([a-z]+\))? )?mod [a-z_]+;$/ { held = 0; next }
    held && /^mod [a-z_]+ \{$/ { held = 0; in_tests = 1; next }
'

# Runs a command as root.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        return 1
    fi
}

# Finds cargo, also where rustup puts it outside PATH, and checks that it is new enough.
need_cargo() {
    local needed found
    if ! command -v cargo >/dev/null && [ -x "${HOME:-}/.cargo/bin/cargo" ]; then
        PATH=$HOME/.cargo/bin:$PATH
        export PATH
    fi
    command -v cargo >/dev/null || die "cargo is missing; install Rust as https://rustup.rs says"
    needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
    found=$(cargo --version | sed 's/^cargo \([0-9.]*\).*/\1/')
    [ "$(printf '%s\n' "$needed" "$found" | sort -V | head -n 1)" = "$needed" ] ||
        die "cargo $found is too old; Rust $needed or newer is needed, as https://rustup.rs gives it"
}

# Installs Debian packages, or fails.
install_packages() {
    command -v apt-get >/dev/null || return 1
    # One after the other: several jobs may install at the same time.
    {
        flock 9
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" || {
            as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
                as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
        }
    } 9<"$root/ci/common.sh" >&2
}

# Installs a part of the toolchain by rustup unless a command finds it there: add_component NAME COMMAND...
# Looks and installs one job after the other: rustup fails beside another, and half a part looks like a whole one.
add_component() {
    {
        flock 9
        "${@:2}" >/dev/null 2>&1 || { command -v rustup >/dev/null && rustup component add "$1"; }
    } 9<"$root/ci/common.sh" >&2
}

# Installs a command from the Debian packages that have it, or skips the job: want_command COMMAND PACKAGE...
want_command() {
    command -v "$1" >/dev/null && return
    install_packages "${@:2}" || true
    command -v "$1" >/dev/null || skip "$1 is missing; run 'apt-get install ${*:2}' as root"
}

# Installs a C linker, which rustc calls.
need_linker() {
    command -v cc >/dev/null && return
    install_packages build-essential || true
    command -v cc >/dev/null || die "no C linker: run 'apt-get install build-essential' as root"
}

# Installs libhwloc and its headers, of a version that the feature 'hwloc' builds with, or fails.
have_hwloc() {
    found() { pkg-config --exists 'hwloc >= 2.8' 'hwloc < 3' libudev 2>/dev/null; }
    found || { install_packages pkg-config libhwloc-dev libudev-dev && found; }
}

# Says how to get it.
hwloc_missing="libhwloc 2.8 or newer is missing; run 'apt-get install pkg-config libhwloc-dev libudev-dev' as root"

# Builds the stress suite and the measuring tools for release, with hwloc if it can be installed. Sets programs to their
# folder.
build_programs() {
    local features=()
    if have_hwloc; then
        features=(--features splinter-stress/hwloc)
    else
        echo "without hwloc, so /sys tells of the machine: $hwloc_missing" >&2
    fi
    programs=$(cargo build --locked --release --manifest-path "$root/Cargo.toml" -p splinter-stress -p splinter-perf \
        ${features[@]+"${features[@]}"} --message-format json-render-diagnostics |
        sed -n 's|.*"executable":"\([^"]*\)/splinter-stress".*|\1|p')
    [ -n "$programs" ] || die "cargo built no splinter-stress"
}

# Installs parts of the toolchain, named as rustup names them: their commands are cargo-NAME.
need_component() {
    local component subcommand
    for component in "$@"; do
        subcommand=${component/rustfmt/fmt}
        add_component "$component" cargo "$subcommand" --version || true
        cargo "$subcommand" --version >/dev/null 2>&1 || die "cargo $subcommand is missing; install $component"
    done
}

# Prints where cargo puts what it builds.
target_directory() {
    cargo metadata --manifest-path "$root/Cargo.toml" --locked --no-deps --format-version 1 |
        sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# Checks that a build with a sanitizer is possible, or skips the job. With its source at hand (build_std), the standard
# library is built with the sanitizer, too; otherwise it goes unchecked.
need_sanitizers() {
    [ "$(uname -sm)" = "Linux x86_64" ] || skip "the sanitizers are set up for x86-64 Linux only"
    local source
    source=$(rustc --print sysroot)/lib/rustlib/src/rust/library
    add_component rust-src test -d "$source" || true
    build_std=
    [ ! -d "$source" ] || build_std=-Zbuild-std
}

# Prepares a build with a sanitizer, named as rustc names it: `checked` is cargo for it. The flag is not stable, though the
# sanitizers are what the stable compiler ships.
sanitize() {
    triple=x86_64-unknown-linux-gnu
    export RUSTC_BOOTSTRAP=1 CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_OPT_LEVEL=1
    CARGO_TARGET_DIR=$(target_directory)/$1
    RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=$1 -Cunsafe-allow-abi-mismatch=sanitizer --cfg splinter_sanitize"
    export CARGO_TARGET_DIR RUSTFLAGS
}

checked() {
    cargo "$1" --locked --target "$triple" $build_std "${@:2}"
}

# Runs a planted mistake, which must end in a report that says so: a tool that lets it pass shows nothing. Takes what the
# report says, the function that runs tests with the tool, and its arguments.
must_report() {
    local output
    output=$("$2" test "${@:3}" 2>&1) || true
    grep -q "$1" <<<"$output" || die "a planted mistake went unreported: $output"
    echo "reported as it should be: $1"
}

# Makes sure of Valgrind, or skips the job.
need_valgrind() {
    [ "$(uname -sm)" = "Linux x86_64" ] || skip "Valgrind is set up for x86-64 Linux only"
    # It reads the C library's symbols.
    want_command valgrind valgrind libc6-dbg
}

# Makes sure of the library by which C headers are read, or skips the job.
need_libclang() {
    # Not libclang-cpp, which does nothing for this.
    found() {
        find /usr/lib/llvm-*/lib -regex '.*/libclang\(-[0-9.]*\)?\.so.*' 2>/dev/null | grep -q . ||
            ldconfig -p | grep -qE 'libclang(-[0-9.]+)?\.so'
    }
    found || install_packages libclang-dev || true
    found || skip "libclang is missing; run 'apt-get install libclang-dev' as root"
}

# Prepares for a tool of Valgrind's, with options of its own: `valgrind` is how it is called, and `watched` cargo for what
# runs under it, which is built as a release is, in a fraction of the time. One thread runs at a time, and in turn: a
# spinning thread must not starve the thread it waits for.
under_valgrind() {
    valgrind=(valgrind --tool="$1" -q --fair-sched=yes --trace-children=yes --error-exitcode=99
        --suppressions="$root/ci/valgrind.supp" "${@:2}")
    CARGO_TARGET_DIR=$(target_directory)/$1
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=${valgrind[*]}
    export CARGO_TARGET_DIR CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER
    export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
}

watched() {
    cargo "$1" --locked --release "${@:2}"
}
