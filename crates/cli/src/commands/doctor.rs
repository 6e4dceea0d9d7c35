//! `kyanite doctor`.

use clap::Args;
use harness::doctor::{Examination, State, examine};

use crate::args::Output;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate::runtime_path;
use crate::printer::Printer;

/// Tells what this machine has and lacks for a stack, each with the command that mends it
///
/// Ends with 0 if a stack can run here, with 3 if not.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// `json` prints the findings
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) async fn run(doctor: Doctor, printer: Printer) -> Result<Exit, Failure> {
    let examination = examine(&runtime_path()).await;
    printer.data(match doctor.output {
        Output::Json => serde_json::to_string_pretty(&examination).map_err(Failure::environment)?,
        Output::Text => screen(&examination),
    });
    Ok(if examination.fit { Exit::Passed } else { Exit::Stack })
}

fn screen(examination: &Examination) -> String {
    let mut lines = Vec::new();
    for finding in &examination.findings {
        let mark = match finding.state {
            State::Good => "ok",
            State::Optional => "--",
            State::Needed => "!!",
        };
        lines.push(format!("{mark} {:<18}{}", finding.subject, finding.detail));
        lines.extend(finding.mend.iter().map(|mend| format!("   {:<18}{mend}", "")));
    }
    let verdict = if examination.fit {
        "A stack can run here."
    } else {
        "No stack can run here: mend what is marked !! (of Docker and etcd, one is enough)."
    };
    lines.push(verdict.to_owned());
    lines.join("\n")
}
