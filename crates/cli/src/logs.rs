//! What the parts log, on standard error.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command};

/// Sets logging up: warnings and errors, more with each `-v`; `KYANITE_LOG` has the last word. Where things are made to
/// fail on purpose, nothing is logged unless somebody asks for it: the failures are what is told. `plugin` has the
/// verbosity of Azure's plugin too, and logs at all levels what that does.
pub(crate) fn init(cli: &Cli) {
    let global = &cli.global;
    let (plugin_level, always) = match &cli.command {
        Command::Plugin(plugin) => (plugin.level / 2, Some("kms_plugin::always=info")),
        _ => (0, None),
    };
    let level = match global.verbose.max(plugin_level) {
        0 if cli.command.fails_on_purpose() => "off",
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // Libraries speak up only when they are asked to by name.
    let libraries = if level == "off" { "off" } else { "error" };
    let filter = if let Some(filter) = &global.log {
        EnvFilter::new(filter)
    } else {
        let ours = OURS.iter().map(|target| format!("{target}={level}"));
        let directives = ours.chain(always.map(str::to_owned));
        directives.fold(EnvFilter::new(libraries), |filter, directive| match directive.parse() {
            Ok(directive) => filter.add_directive(directive),
            Err(_) => filter,
        })
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if global.log_format_json {
        builder.json().init();
    } else {
        builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init();
    }
}

const OURS: [&str; 7] = ["apiserver", "envelope", "gateway", "harness", "keyvault", "kms_plugin", "kyanite"];
