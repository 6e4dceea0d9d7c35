//! `kyanite env`.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use crate::args::{Locate, Output};
use crate::exit::Exit;
use crate::failure::{Failure, sentence};
use crate::locate::ready_file;
use crate::printer::Printer;

/// Prints exports that point every Azure tool of this shell at a running stack
///
/// eval "$(kyanite env)"
///
/// From then on SDKs and tools reach the stack by Azure's own names, with certificate checks on; every other name is
/// refused, so nothing leaves the machine. `kyanite env --unset` takes it back. The client secret is among the values.
#[derive(Args, Debug)]
pub(crate) struct Env {
    #[command(flatten)]
    locate: Locate,
    /// The shell that will read it
    #[arg(long, value_enum, default_value_t)]
    shell: Shell,
    /// Prints what takes the exports back
    #[arg(long)]
    unset: bool,
    /// `json` prints an object of names and values
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// The language of a shell.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Shell {
    /// Also sh, dash, zsh, ksh
    #[default]
    Bash,
    Fish,
}

pub(crate) fn run(env: &Env, printer: Printer) -> Result<Exit, Failure> {
    let variables = ready_file(&env.locate)?.env;
    if variables.is_empty() {
        let error = sentence("find anything to export: this part of a stack runs alone and has no vault");
        return Err(Failure::environment(error));
    }
    let text = match env.output {
        Output::Json => serde_json::to_string_pretty(&variables).map_err(Failure::environment)?,
        Output::Text if env.unset => unset(env.shell, &variables),
        Output::Text => exports(env.shell, &variables),
    };
    printer.data(text);
    Ok(Exit::Passed)
}

fn exports(shell: Shell, variables: &BTreeMap<String, String>) -> String {
    let line = |(name, value): (&String, &String)| match shell {
        Shell::Bash => format!("export {name}={}", quote(value, r"'\''")),
        Shell::Fish => format!("set -gx {name} {}", quote(&value.replace('\\', r"\\"), r"\'")),
    };
    variables.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn unset(shell: Shell, variables: &BTreeMap<String, String>) -> String {
    let word = match shell {
        Shell::Bash => "unset",
        Shell::Fish => "set -e",
    };
    variables.keys().map(|name| format!("{word} {name}")).collect::<Vec<_>>().join("\n")
}

/// The value in single quotes; `escaped` stands for a single quote in it.
fn quote(value: &str, escaped: &str) -> String {
    format!("'{}'", value.replace('\'', escaped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_the_shell() {
        let variables = BTreeMap::from([("A".to_owned(), r"it's a \ $HOME".to_owned())]);
        assert_eq!(exports(Shell::Bash, &variables), r"export A='it'\''s a \ $HOME'");
        assert_eq!(exports(Shell::Fish, &variables), r"set -gx A 'it\'s a \\ $HOME'");
        assert_eq!(unset(Shell::Bash, &variables), "unset A");
        assert_eq!(unset(Shell::Fish, &variables), "set -e A");
    }
}
