# Lists the commands.
default:
    @just --list

# Builds everything.
build:
    cargo build --workspace

# Installs what the tests need (Dovecot) and runs all of them.
test:
    .ci/test

# Everything that has to pass before a change lands.
ci:
    .ci/run

# Backs up the sample mail store and shows the result.
demo:
    cargo run --release -p dsync-cli -- -v -o mail_location=maildir:examples/sample/Maildir backup maildir:target/sample-backup

# Makes a Debian package in target/debian.
package:
    .ci/package

# Measures dsync beside other programs and a plain copy (about ten minutes).
bench:
    cargo build --release -p dsync-cli -p dsync-benches
    target/release/compare --short

# Fuzzes one decoder, for example `just fuzz uidlist`.
fuzz target seconds="60":
    RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir fuzz {{target}} -- -max_total_time={{seconds}}
