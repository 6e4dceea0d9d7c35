//! `kyanite fault`.

use std::num::NonZeroU32;

use clap::{Args, Subcommand};
use harness::control::{ControlClient, FaultId, VaultFault};
use harness::stack::Part;
use serde_json::{Value, json};

use crate::args::{Locate, Output};
use crate::exit::Exit;
use crate::failure::{Failure, sentence};
use crate::locate::control;
use crate::printer::Printer;

/// Makes things fail in a running stack, and well again
#[derive(Args, Debug)]
pub(crate) struct Fault {
    #[command(subcommand)]
    action: Action,
    /// The ready file of the stack; by default the last one that this user started
    #[arg(long, value_name = "FILE", global = true)]
    ready_file: Option<std::path::PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Injects a fault into the vault or the token endpoints and prints its id
    Add(Box<Add>),
    /// Clears a fault, or all of them
    Clear {
        /// The fault's id; without it all are cleared
        id: Option<u64>,
    },
    /// Lists the faults that are injected
    List {
        /// `json` prints them as they were injected
        #[arg(long, value_enum, default_value_t)]
        output: Output,
    },
    /// Stops a part and starts it again: apiserver, plugin, vault, gateway, etcd-0
    Restart {
        /// The part
        part: Part,
    },
    /// Starts a part that was stopped
    Start {
        /// The part
        part: Part,
    },
    /// Stops a part
    Stop {
        /// The part
        part: Part,
    },
}

/// What a fault strikes and what it does.
#[derive(Args, Debug)]
struct Add {
    /// What it strikes: everything, vault, identity, or an operation such as `KeyEncrypt`
    #[arg(long, value_name = "TARGET", default_value = "everything")]
    on: String,
    /// Only requests to this vault
    #[arg(long, value_name = "NAME")]
    vault: Option<String>,
    /// Only requests about this key or secret
    #[arg(long, value_name = "NAME")]
    object: Option<String>,
    /// Only requests of the principal with this client id or object id
    #[arg(long, value_name = "ID")]
    caller: Option<String>,
    /// How many requests it strikes; without it all, until it is cleared
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU32>,
    /// Strikes only each N-th request
    #[arg(long, value_name = "N")]
    every: Option<NonZeroU32>,
    /// How long it lasts on the stack's clock, in seconds
    #[arg(long = "for", value_name = "SECONDS")]
    for_seconds: Option<u32>,
    #[command(flatten)]
    effect: Effect,
    /// `error.code` of a refusal
    #[arg(long, value_name = "CODE", requires = "refuse")]
    code: Option<String>,
    /// `error.innererror.code` of a refusal
    #[arg(long, value_name = "CODE", requires = "refuse")]
    inner_code: Option<String>,
    /// `error.message` of a refusal
    #[arg(long, value_name = "TEXT", requires = "refuse")]
    message: Option<String>,
    /// `Retry-After` of a refusal
    #[arg(long, value_name = "SECONDS", requires = "refuse")]
    retry_after: Option<u32>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Effect {
    /// Waits this long, then goes on
    #[arg(long, value_name = "MILLISECONDS")]
    delay: Option<u64>,
    /// Closes the connection without an answer
    #[arg(long)]
    drop: bool,
    /// Gives no answer until the fault is cleared
    #[arg(long)]
    hang: bool,
    /// Answers with this HTTP status
    #[arg(long, value_name = "STATUS")]
    refuse: Option<u16>,
    /// Breaks the answer off after this much of its body
    #[arg(long, value_name = "BYTES")]
    truncate: Option<usize>,
}

pub(crate) async fn run(fault: Fault, printer: Printer) -> Result<Exit, Failure> {
    let door = control(&Locate { ready_file: fault.ready_file })?;
    match fault.action {
        Action::Add(add) => {
            let id = door.inject(&add.fault()?).await?;
            printer.data(json!(id));
        }
        Action::Clear { id } => door.clear(id.map(fault_id).transpose()?).await?,
        Action::List { output } => list(&door, output, printer).await?,
        Action::Restart { part } => door.restart(part).await?,
        Action::Start { part } => door.start(part).await?,
        Action::Stop { part } => door.stop(part).await?,
    }
    Ok(Exit::Passed)
}

async fn list(door: &ControlClient, output: Output, printer: Printer) -> Result<(), Failure> {
    let faults = door.status().await?.vault.map(|vault| vault.faults).unwrap_or_default();
    if output == Output::Json {
        printer.data(serde_json::to_string_pretty(&faults).map_err(Failure::environment)?);
        return Ok(());
    }
    for fault in &faults {
        printer.data(format_args!("{} struck {}: {}", json!(fault.id), fault.struck, json!(fault.fault)));
    }
    if faults.is_empty() {
        printer.say("no faults");
    }
    Ok(())
}

impl Add {
    /// The fault as the vault reads it.
    fn fault(&self) -> Result<VaultFault, Failure> {
        let effect = match &self.effect {
            Effect { delay: Some(millis), .. } => json!({ "delay": { "millis": millis } }),
            Effect { refuse: Some(status), .. } => json!({ "refuse": {
                "status": status,
                "code": self.code,
                "inner_code": self.inner_code,
                "message": self.message,
                "retry_after_seconds": self.retry_after,
            } }),
            Effect { truncate: Some(bytes), .. } => json!({ "truncate": { "bytes": bytes } }),
            Effect { drop: true, .. } => json!("drop"),
            Effect { .. } => json!("hang"),
        };
        let target = match self.on.as_str() {
            "everything" | "identity" | "vault" => Value::from(self.on.as_str()),
            operation => json!({ "operation": operation }),
        };
        let fault = json!({
            "target": target,
            "effect": effect,
            "count": self.count,
            "every": self.every,
            "for_seconds": self.for_seconds,
            "vault": self.vault,
            "object": self.object,
            "caller": self.caller,
        });
        serde_json::from_value(fault).map_err(|error| {
            Failure::usage(anyhow::Error::new(error).context(format!("understand the fault on {}", self.on)))
        })
    }
}

fn fault_id(id: u64) -> Result<FaultId, Failure> {
    serde_json::from_value(json!(id)).map_err(|_| Failure::usage(sentence(format!("find the fault {id}"))))
}
