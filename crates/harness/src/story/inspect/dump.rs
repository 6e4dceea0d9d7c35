//! Bytes in hexadecimal and as text, sixteen a line.

/// The lines of a dump, without addresses: sixteen bytes in two halves, then what of them can be printed.
pub(super) fn dump(bytes: &[u8]) -> Vec<String> {
    let lines = bytes.chunks(LINE_BYTES).map(|line| {
        let mut hex = String::new();
        for (at, byte) in line.iter().enumerate() {
            hex.push_str(if at == LINE_BYTES / 2 {
                "  "
            } else if at == 0 {
                ""
            } else {
                " "
            });
            hex.push_str(&hex::encode([*byte]));
        }
        let text: String = line.iter().map(|byte| if is_visible(*byte) { char::from(*byte) } else { '.' }).collect();
        format!("{hex:<HEX_COLUMNS$}  {text}")
    });
    lines.collect()
}

fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte == b' '
}

const LINE_BYTES: usize = 16;

/// Two digits a byte, a space between, one more in the middle.
const HEX_COLUMNS: usize = 3 * LINE_BYTES;
