//! Mutated bodies, paths, tokens and base64url against a vault: whatever is sent, the answer is the service's own and the
//! vault lives on. Two seconds for each target; `cargo test -p keyvault --test fuzz -- 10` gives each ten.
//!
//! Mutation starts from the checked-in corpus and is not guided by coverage: this runs on the stable toolchain, as a plain
//! process. A failure prints the request, which then belongs into the corpus.

#[cfg(test)]
mod mutation;
#[cfg(test)]
mod target;

fn main() {
    #[cfg(test)]
    target::run(std::env::args().nth(1).and_then(|seconds| seconds.parse().ok()).unwrap_or(2));
}
