# Daily work, one line a recipe. `./dev X` makes the machine ready first, then runs `just X`.

export INSTA_UPDATE := if env("CI", "") == "" { "auto" } else { "no" }
kyanite := "target/debug/kyanite"

[private]
default:
    @just --list --unsorted

# the narrated demonstration on a real etcd
demo: build
    {{kyanite}} tour

# everything that must pass: format, lints, tests, stories, foreign clients, docs, licences
test: fmt-check clippy units fuzz-smoke stories clients doc deny

# the same, by its other name
ci: test

build:
    cargo build --locked --package cli

fmt:
    cargo fmt --all

fmt-check:
    cargo fmt --all --check

clippy:
    cargo clippy --locked --workspace --all-targets -- -D warnings

# unit, property, model and integration tests, and doctests
units:
    cargo test --locked --workspace

# every story, as a user runs them
stories: build
    {{kyanite}} run scenarios

# programs nobody here wrote, against a running stack
clients: build
    tests/clients/run {{kyanite}}

doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet

deny:
    cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked --quiet
    cargo deny --offline check bans licenses sources

# rewrites what is generated and checked in: protocol code, schemas, the catalogue of scenarios
generate:
    KYANITE_UPDATE=1 cargo test --workspace generated

# speed as ratios measured in one run
bench:
    cargo build --release --locked --package cli
    cargo bench --locked --package cli --bench stack

# the KMS plugin beside the bare vault and Azure's own plugin
bench-plugin:
    cargo build --release --locked --package cli
    tests/clients/azure-plugin/build .kyanite/azure-kms
    KYANITE=$PWD/target/release/kyanite KYANITE_AZURE_PLUGIN=$PWD/.kyanite/azure-kms cargo bench --locked --package kms-plugin --bench plugin

# sealing and opening beside the bare cipher
bench-envelope:
    cargo bench --locked --package envelope --bench seal

# ten seconds of mutated input for each reader of foreign bytes, from a corpus that is checked in
fuzz-smoke:
    KYANITE_FUZZ_SECONDS=10 cargo test --locked --package envelope --test it fuzz -- --nocapture --test-threads=1

# a stack to play with; Ctrl-C ends it
up *ARGS: build
    {{kyanite}} up {{ARGS}}
