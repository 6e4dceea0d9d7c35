//! The one place where what differs from run to run is taken out of a transcript.

/// Replaces ids, digests, times, durations and places on this machine.
pub(crate) struct Redactor {
    settings: insta::Settings,
}

impl Redactor {
    /// A redactor whose replacements are as long as what they replace wherever that is of fixed length, so that tables
    /// keep their columns.
    pub(crate) fn new() -> Self {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../snapshots");
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        for (pattern, replacement) in [
            // Before the shorter ones that would match inside.
            (r"sha256:[0-9a-f]{64}", "sha256:<hash>"),
            (r"\b[0-9a-f]{64}\b", "<key id>"),
            (r"\b[0-9a-f]{32}\b", "<key version>"),
            (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
            (r"\b[0-9a-f]{40,61}\.\.\.", "<start of a key id>..."),
            (r"\b[A-Za-z0-9_-]{40,60}\.\.\.", "<start of the encrypted seed>..."),
            (r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT", "<date>"),
            (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z", "<time>"),
            (r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(\.[0-9]+)? \+0000 UTC( m=[+0-9.]+)?", "<time>"),
            (r"\b[0-9]+ ms\b", "<duration>"),
            (r"\b[0-9]+\.[0-9]{2} s\b", "<duration>"),
            (r"127\.0\.0\.1:[0-9]+", "127.0.0.1:<port>"),
            (r"localhost:[0-9]+", "localhost:<port>"),
        ] {
            settings.add_filter(pattern, replacement);
        }
        Self { settings }
    }

    /// Compares `text`, redacted, with the snapshot of this name.
    pub(crate) fn assert(&self, name: &str, text: &str) {
        self.settings.bind(|| insta::assert_snapshot!(name, text));
    }
}
