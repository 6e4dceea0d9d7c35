//! The report as JSON, for programs: `kyanite run --report json=FILE`. Its schema is `schemas/report.json`.

use super::record::RunRecord;

/// The report's text: indented, with a final line break.
///
/// # Errors
///
/// [`serde_json::Error`] if a number of the record is not one that JSON has; a record of a real run has none.
pub fn json(record: &RunRecord) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(record)? + "\n")
}
