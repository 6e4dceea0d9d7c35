//! Inspections as text, readable without colour within 100 columns.

use crate::story::report::wrapped;
use crate::story::wire::StoredValue;

use super::dump::dump;
use super::part::PartView;
use super::value::{Inspection, KeyTrace, Opened, Sealing};

impl Inspection {
    /// The whole inspection: what is known about the value, then every byte of it, then every byte of what is inside.
    pub fn text(&self, colour: bool) -> String {
        let paint = Paint { colour };
        let mut lines = Vec::new();
        if let (Some(key), Some(revision)) = (&self.key, self.revision) {
            lines.push(format!("{}  revision {revision}", paint.bold(key)));
        }
        lines.push(format!("{} bytes, {}", self.size_bytes, sealed(&self.sealing)));
        if let Sealing::KmsV2 { key_id, trace, .. } = &self.sealing {
            lines.push(format!("key id {key_id}"));
            lines.extend(trace.iter().flat_map(traced).map(|line| format!("  {line}")));
        }
        lines.push(String::new());
        lines.push(paint.bold("What etcd holds"));
        lines.extend(parts(&self.parts, &paint));
        match &self.opened {
            None => {}
            Some(Opened::No { reason }) => {
                lines.extend([String::new(), paint.bold("What is inside cannot be shown"), format!("  {reason}")]);
            }
            Some(Opened::Yes { size_bytes, parts: inside }) => {
                lines.push(String::new());
                lines.push(paint.bold(&format!(
                    "What is inside: {size_bytes} bytes, opened with the seed that the vault decrypted"
                )));
                lines.extend(parts(inside, &paint));
            }
        }
        lines.join("\n") + "\n"
    }
}

/// A stored value in a few lines: its parts without the tags and lengths between them.
pub(crate) fn table(value: &StoredValue) -> Vec<String> {
    let inspection = Inspection::of_bytes(&value.bytes);
    let mut lines = vec![
        format!("{}, revision {}", value.key, value.mod_revision),
        format!("{} bytes, {}", inspection.size_bytes, sealed(&inspection.sealing)),
    ];
    let rows: Vec<_> = inspection.parts.iter().filter(|part| !part.is_framing()).collect();
    let name_width = rows.iter().map(|part| part.name.chars().count()).max().unwrap_or(0);
    let indent = RANGE_COLUMNS + name_width + 6;
    for part in rows {
        let range = format!("{}..{}", part.start, part.end);
        let meaning = match &part.value {
            Some(value) => vec![cut(value, TABLE_COLUMNS.saturating_sub(indent))],
            None => wrapped(&part.about, "", TABLE_COLUMNS.saturating_sub(indent)),
        };
        let mut meaning = meaning.into_iter();
        let first = meaning.next().unwrap_or_default();
        lines.push(format!("  {range:>RANGE_COLUMNS$}  {:<name_width$}  {first}", part.name).trim_end().to_owned());
        lines.extend(meaning.map(|more| format!("{}{more}", " ".repeat(indent))));
    }
    lines
}

fn sealed(sealing: &Sealing) -> String {
    match sealing {
        Sealing::KmsV2 { provider, .. } => format!("sealed by KMS v2, provider {provider}"),
        Sealing::None => "not encrypted".to_owned(),
        Sealing::Unknown => "sealed in a way that cannot be read here".to_owned(),
    }
}

fn traced(trace: &KeyTrace) -> Vec<String> {
    let Some((version, number)) = trace.version.as_ref().zip(trace.number) else {
        return vec![match trace.versions {
            0 => "of no key version: the vault shows no key".to_owned(),
            versions => format!("of none of the {versions} key versions that the vault shows"),
        }];
    };
    let state = if trace.enabled == Some(false) { "disabled" } else { "enabled" };
    let fresh = trace.stale.map(|stale| if stale { "stale: the plugin names another key id now" } else { "not stale" });
    let place = format!("version {number} of {}, {state}", trace.versions);
    [version.clone(), place].into_iter().chain(fresh.map(str::to_owned)).collect()
}

fn parts(parts: &[PartView], paint: &Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for part in parts {
        let range = format!("{}..{}", part.start, part.end);
        let room = COLUMNS.saturating_sub(RANGE_COLUMNS + 4 + part.name.chars().count());
        let about =
            if part.about.is_empty() { String::new() } else { paint.dim(&cut(&format!(": {}", part.about), room)) };
        lines.push(format!("  {range:>RANGE_COLUMNS$}  {}{about}", paint.bold(&part.name)));
        lines.extend(
            dump(&part.bytes()).into_iter().map(|line| format!("{}{}", " ".repeat(RANGE_COLUMNS + 4), line.trim_end())),
        );
    }
    lines
}

/// `text` cut to `width` characters.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(3)).collect();
    cut.push_str("...");
    cut
}

/// ANSI colours, or none.
pub(super) struct Paint {
    pub(super) colour: bool,
}

impl Paint {
    pub(super) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(super) fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Columns of all texts.
const COLUMNS: usize = 100;

/// `4096..4128` and room for more.
const RANGE_COLUMNS: usize = 11;

/// Columns of a table: it is shown indented.
const TABLE_COLUMNS: usize = 90;
