//! What the parts log, on standard error.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::args::Global;

/// Sets logging up: warnings and errors, more with each `-v`; `KYANITE_LOG` has the last word. Where things are made to
/// fail on purpose, nothing is logged unless somebody asks for it: the failures are what is told.
pub(crate) fn init(global: &Global, fails_on_purpose: bool) {
    let level = match global.verbose {
        0 if fails_on_purpose => "off",
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // Libraries speak up only when they are asked to by name.
    let libraries = if level == "off" { "off" } else { "error" };
    let filter = match &global.log {
        Some(filter) => EnvFilter::new(filter),
        None => {
            OURS.iter().fold(EnvFilter::new(libraries), |filter, target| match format!("{target}={level}").parse() {
                Ok(directive) => filter.add_directive(directive),
                Err(_) => filter,
            })
        }
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if global.log_format_json {
        builder.json().init();
    } else {
        builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init();
    }
}

const OURS: [&str; 7] = ["apiserver", "envelope", "gateway", "harness", "keyvault", "kms_plugin", "kyanite"];
