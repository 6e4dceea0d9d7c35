//! `kyanite audit`.

use clap::Args;
use harness::control::{AuditRecord, GridEvent};

use crate::args::{Locate, Output};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::locate::control;
use crate::printer::Printer;

/// Shows what was asked of the vaults of a running stack, as Key Vault's audit log has it
///
/// One record for each request, the 401 that most clients start with included. The stack also writes them to
/// `keyvault/audit.jsonl` in its directory, and events to `events.jsonl` beside it.
#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// Only this operation: `KeyDecrypt`, `SecretGet`, `Authentication`, ...
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Only this vault
    #[arg(long, value_name = "NAME")]
    vault: Option<String>,
    /// Only about objects whose id contains this
    #[arg(long, value_name = "TEXT")]
    object: Option<String>,
    /// Only by the principal with this client id or object id
    #[arg(long, value_name = "ID", conflicts_with = "events")]
    caller: Option<String>,
    /// Only requests that failed
    #[arg(long, conflicts_with = "events")]
    failed: bool,
    /// Only the last of what is left
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Event Grid's events instead: new versions, near expiry, expired
    #[arg(long)]
    events: bool,
    #[command(flatten)]
    locate: Locate,
    /// `json` prints the records as Azure writes them, a line for each
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

pub(crate) async fn run(audit: Audit, printer: Printer) -> Result<Exit, Failure> {
    let door = control(&audit.locate)?;
    let lines: Vec<String> = if audit.events {
        let events = door.events().await?;
        let wanted = events.iter().filter(|event| audit.wants_event(event));
        wanted.map(|event| audit.line(serde_json::to_string(event), event_line(event))).collect::<Result<_, _>>()?
    } else {
        let records = door.audit().await?;
        let wanted = records.iter().filter(|record| audit.wants(record));
        wanted.map(|record| audit.line(serde_json::to_string(record), record_line(record))).collect::<Result<_, _>>()?
    };
    let skip = lines.len().saturating_sub(audit.last.unwrap_or(lines.len()));
    for line in lines.iter().skip(skip) {
        printer.data(line);
    }
    if lines.is_empty() {
        printer.say("nothing of the kind");
    }
    Ok(Exit::Passed)
}

impl Audit {
    fn wants(&self, record: &AuditRecord) -> bool {
        let claim = record.identity.claim.as_ref();
        let is_caller = |id: &str| {
            claim.is_some_and(|claim| [&claim.appid, &claim.object_id].iter().any(|own| own.eq_ignore_ascii_case(id)))
        };
        let vault = record.resource_id.rsplit('/').next().unwrap_or_default();
        self.operation.as_deref().is_none_or(|name| record.operation_name.eq_ignore_ascii_case(name))
            && self.vault.as_deref().is_none_or(|name| vault.eq_ignore_ascii_case(name))
            && self.object.as_deref().is_none_or(|text| record.properties.id.contains(text))
            && self.caller.as_deref().is_none_or(is_caller)
            && !(self.failed && record.result_type == "Success")
    }

    fn wants_event(&self, event: &GridEvent) -> bool {
        let kind = event.event_type.rsplit('.').next().unwrap_or_default();
        self.operation.as_deref().is_none_or(|name| kind.eq_ignore_ascii_case(name))
            && self.vault.as_deref().is_none_or(|name| event.data.vault_name.eq_ignore_ascii_case(name))
            && self.object.as_deref().is_none_or(|text| event.data.id.contains(text))
    }

    fn line(&self, json: serde_json::Result<String>, text: String) -> Result<String, Failure> {
        match self.output {
            Output::Json => json.map_err(Failure::environment),
            Output::Text => Ok(text),
        }
    }
}

/// When, what, how it ended, by whom, from where, about what.
fn record_line(record: &AuditRecord) -> String {
    let AuditRecord { time, operation_name, properties, caller_ip_address, identity, .. } = record;
    let status = properties.http_status_code.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let caller = identity.claim.as_ref().map_or("-", |claim| claim.appid.as_str());
    let address = if caller_ip_address.is_empty() { "-" } else { caller_ip_address };
    format!("{time}  {status:<3}  {operation_name:<22}  {caller:<36}  {address:<15}  {}", properties.id)
}

fn event_line(event: &GridEvent) -> String {
    let kind = event.event_type.rsplit('.').next().unwrap_or_default();
    format!("{}  {kind:<24}  {}", event.event_time, event.data.id)
}
