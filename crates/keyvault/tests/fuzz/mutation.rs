//! Small changes to inputs.

/// Random numbers (xorshift) and what is made with them.
pub(crate) struct Mutator(pub(crate) u64);

impl Mutator {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    /// An input like `seed`: one to four times something cut, doubled, flipped, inserted, or taken from `other`.
    pub(crate) fn mutate(&mut self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut input = seed.to_vec();
        for _ in 0..=self.below(4) {
            let (start, end) = (self.below(input.len()), self.below(input.len()));
            let range = start.min(end)..start.max(end);
            match self.below(6) {
                0 => drop(input.drain(range)),
                1 => {
                    let piece = input[range].to_vec();
                    input.splice(start..start, piece);
                }
                2 if !input.is_empty() => input[start] ^= 1 << self.below(8),
                3 => {
                    let token = TOKENS[self.below(TOKENS.len())];
                    input.splice(start..start, token.iter().copied());
                }
                4 => {
                    let from = self.below(other.len());
                    input.splice(range, other[from..].iter().copied());
                }
                _ => input.truncate(start),
            }
        }
        input
    }
}

/// Pieces that parsers stumble over.
const TOKENS: [&[u8]; 20] = [
    b"null",
    b"-1",
    b"1e999",
    b"9223372036854775808",
    b"{",
    b"[[[[[[[[",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"%00",
    b"%2f",
    b"//",
    b"..",
    b"=",
    b"+/",
    b"\xff\xfe",
    b"A256GCM",
    b"oct-HSM",
    b"P-256K",
    b"eyJhbGciOiJub25lIn0",
];
