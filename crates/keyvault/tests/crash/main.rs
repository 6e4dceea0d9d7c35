//! A hundred crashes: `kill -9` at random moments of a vault at work, and a look at what is left.
//!
//! A test of its own, without the usual harness, since there has to be a process to kill: started with the word `victim` it is
//! that process, else the one that kills it. `cargo test -p keyvault --test crash`.

#[cfg(test)]
mod killer;
#[cfg(test)]
mod victim;

fn main() {
    #[cfg(test)]
    match std::env::args().nth(1).as_deref() {
        Some(victim::WORD) => victim::serve(),
        _ => killer::run(),
    }
}
