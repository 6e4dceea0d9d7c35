//! Flags as Go programs take them, for `kyanite plugin`: manifests of Azure's plugin are used as they are.
//!
//! Go's `flag` package takes one dash or two, `=true` and `=false` behind a switch, and Azure's plugin has a verbosity
//! `-v` with a number, which the other commands of Kyanite count.

use std::ffi::OsString;

/// The arguments of the process as clap takes them: those of `plugin` are rewritten, all others stay.
pub(crate) fn rewritten(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = arguments.iter().skip(1).position(|argument| argument == "plugin").map(|index| index + 1);
    let Some(command) = command else { return arguments };
    let mut after = arguments.iter().skip(command + 1).peekable();
    let mut rewritten: Vec<OsString> = arguments.iter().take(command + 1).cloned().collect();
    while let Some(argument) = after.next() {
        let next_is_number = after.peek().and_then(|next| next.to_str()).is_some_and(|next| next.parse::<u8>().is_ok());
        match argument.to_str() {
            Some("--") => {
                rewritten.push(argument.clone());
                rewritten.extend(after.by_ref().cloned());
            }
            Some(text) => rewritten.extend(one(text, next_is_number).map(OsString::from)),
            None => rewritten.push(argument.clone()),
        }
    }
    rewritten
}

/// `None` is a switch that is off.
fn one(text: &str, next_is_number: bool) -> Option<String> {
    let double_dashed = match text.strip_prefix('-') {
        Some(rest) if !rest.starts_with('-') => {
            let name = rest.split('=').next().unwrap_or_default();
            // `-v` is Go's if there is a number with it; `-q` and `-vv` are ours.
            let is_verbosity = name == "v" && (rest.contains('=') || next_is_number);
            let is_long = name.len() > 1 && name.bytes().any(|byte| byte != b'v');
            if is_verbosity || is_long { format!("--{rest}") } else { text.to_owned() }
        }
        _ => text.to_owned(),
    };
    match double_dashed.strip_prefix("--log-format-json=") {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Some("--log-format-json".to_owned()),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => None,
        _ => Some(double_dashed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> String {
        let arguments = rewritten(line.split(' ').map(OsString::from));
        arguments.iter().map(|argument| argument.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_manifest_of_azures_plugin_is_understood() {
        assert_eq!(
            of("kyanite plugin -keyvault-name=a --key-name b -v 5 --log-format-json=true --managed-hsm=false"),
            "kyanite plugin --keyvault-name=a --key-name b --v 5 --log-format-json --managed-hsm=false"
        );
        assert_eq!(of("kyanite plugin -v=5 -log-format-json=false"), "kyanite plugin --v=5");
    }

    #[test]
    fn what_is_kyanites_own_stays() {
        for line in
            ["kyanite up -v", "kyanite -q plugin -vv", "kyanite plugin -v --key-name x", "kyanite plugin -h -- -x=1"]
        {
            assert_eq!(of(line), line);
        }
    }
}
