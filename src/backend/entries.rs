//! Cuts the entries of a JSON array out of a stream, so that a list of any length is read with the memory of one entry.

use super::Finding;

/// No entry of a list is longer.
const LONGEST: usize = 1 << 20;

/// Where the reader stands in an array of objects, from behind its `[` on.
#[derive(Debug, Default)]
pub(super) struct Entries {
    depth: u32,
    in_string: bool,
    escaped: bool,
    ended: bool,
    /// The begin of an entry that goes on in the next piece.
    begun: Vec<u8>,
}

impl Entries {
    /// Takes the next piece and gives each entry that is whole to `each`.
    pub(super) fn push(&mut self, piece: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), Finding> {
        let mut from = 0;
        for (at, byte) in piece.iter().enumerate() {
            if self.ended {
                return Ok(());
            }
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    if self.depth == 0 {
                        from = at;
                    }
                    self.depth += 1;
                }
                b']' if self.depth == 0 => self.ended = true,
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).ok_or(Finding::Malformed)?;
                    if self.depth == 0 {
                        self.whole(&piece[from..=at], &mut each);
                    }
                }
                _ => {}
            }
        }
        if self.depth > 0 {
            self.begun.extend_from_slice(&piece[from..]);
        }
        if self.begun.len() > LONGEST { Err(Finding::Malformed) } else { Ok(()) }
    }

    /// Whether the array's end was seen.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    fn whole(&mut self, end: &[u8], each: &mut impl FnMut(&[u8])) {
        if self.begun.is_empty() {
            return each(end);
        }
        self.begun.extend_from_slice(end);
        each(&self.begun);
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_however_they_are_cut() {
        let text = br#" {"a":"]}\"{"}, {"b":[{"c":1},[2]],"d":"\\"} ,{}]},"more":[{"x":1}]}"#;
        let expected = [r#"{"a":"]}\"{"}"#, r#"{"b":[{"c":1},[2]],"d":"\\"}"#, "{}"];
        for size in 1..text.len() {
            let (mut entries, mut found) = (Entries::default(), Vec::new());
            for piece in text.chunks(size) {
                entries.push(piece, |entry| found.push(String::from_utf8(entry.to_vec()).unwrap())).unwrap();
            }
            assert_eq!(found, expected, "in pieces of {size}");
            assert!(entries.ended());
        }
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let mut entries = Entries::default();
        assert_eq!(entries.push(b"}", |_| ()), Err(Finding::Malformed));
        let mut entries = Entries::default();
        let long = vec![b'['; LONGEST + 1];
        assert_eq!(entries.push(&long, |_| ()), Err(Finding::Malformed));
    }
}
