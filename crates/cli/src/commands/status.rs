//! `kyanite status`.

use std::fmt::Write as _;

use clap::Args;
use harness::control::{KeyStatus, Status as Report};

use crate::args::{Locate, Output};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate::control;
use crate::printer::Printer;

/// Tells what a running stack consists of and has seen
#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    locate: Locate,
    /// `json` prints everything the stack says of itself
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) async fn run(status: Status, printer: Printer) -> Result<Exit, Failure> {
    let report = control(&status.locate)?.status().await?;
    printer.data(match status.output {
        Output::Json => serde_json::to_string_pretty(&report).map_err(Failure::environment)?,
        Output::Text => screen(&report).trim_end().to_owned(),
    });
    Ok(Exit::Passed)
}

fn screen(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "{name:<11}{value}");
    };
    line("stack", &format!("{} (process {})", report.id, report.pid));
    line("clock", &clock(report));
    if let Some(etcd) = &report.etcd {
        let stopped: Vec<_> = etcd.stopped.iter().map(|member| format!("etcd-{member} stopped")).collect();
        let stopped = if stopped.is_empty() { String::new() } else { format!(" ({})", stopped.join(", ")) };
        line("etcd", &format!("{} {}{stopped}", etcd.backend, etcd.endpoints.join(",")));
    }
    match &report.api_server {
        Some(server) => {
            line("apiserver", &format!("{} {}", server.url, server.ready));
            let errors =
                if server.server_errors == 0 { String::new() } else { format!(", {} failed", server.server_errors) };
            line("", &format!("{} requests{errors}, {} watches", server.requests, server.watches));
            if let Some(hash) = &server.key_id_hash {
                line("", &format!("key id hash {hash}"));
            }
        }
        None if report.etcd.is_some() => line("apiserver", "stopped"),
        None => {}
    }
    if let Some(plugin) = &report.plugin {
        line("plugin", &plugin.socket);
        match &plugin.key_id {
            Ok(key_id) => line("", &format!("key id {key_id}")),
            Err(error) => line("", &format!("no key id: {error}")),
        }
    }
    match &report.vault {
        None => line("vault", "stopped"),
        Some(vault) => {
            line("vault", &format!("{} {}", vault.name, vault.url));
            for key in &vault.keys {
                key_lines(key, &mut line);
            }
            for fault in &vault.faults {
                let shown = serde_json::to_string(&fault.fault).unwrap_or_default();
                let id = serde_json::json!(fault.id);
                line("", &format!("fault {id} (has struck {} times): {shown}", fault.struck));
            }
            for count in &vault.requests {
                let status = count.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
                line("", &format!("{:<22}{status:<10}{}", count.operation.to_string(), count.count));
            }
        }
    }
    for seen in &report.gateway {
        let mut parts = vec![format!("joined {}", seen.joined)];
        let others = [("refused", seen.refused), ("unreachable", seen.unreachable)];
        parts.extend(others.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")));
        line("gateway", &format!("{}: {}", seen.name, parts.join(", ")));
    }
    text
}

fn clock(report: &Report) -> String {
    match report.clock.ahead_seconds {
        0 => report.clock.now.to_string(),
        ahead => format!("{} ({} ahead of real time)", report.clock.now, days(ahead)),
    }
}

/// Seconds as days, hours, minutes and seconds, the small ones left out when they are nothing.
pub(super) fn days(seconds: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut left = seconds;
    let mut text = String::new();
    for (size, unit) in units {
        let count = left / size;
        left %= size;
        if count > 0 {
            let _ = write!(text, "{count}{unit}");
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn key_lines(key: &KeyStatus, line: &mut impl FnMut(&str, &str)) {
    let deleted = key.deleted.map(|at| format!(", deleted {at}")).unwrap_or_default();
    line("", &format!("key {}{deleted}", key.name));
    for version in &key.versions {
        let state = if version.enabled { "enabled" } else { "disabled" };
        let kind = format!("{} {}", version.key_type, version.size_bits);
        line("", &format!("  version {} {kind} {state}, made {}", version.id, version.created));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        assert_eq!(days(0), "0s");
        assert_eq!(days(90 * 86_400), "90d");
        assert_eq!(days(86_400 + 61), "1d1m1s");
    }
}
