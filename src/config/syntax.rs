//! TOML syntax: as many of a file's mistakes as can be told in one go.

use std::ops::Range;

use toml::{Spanned, de::DeTable};

/// A mistake in the syntax.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub span: Range<usize>,
    /// The parser's sentence. It never holds text of the file, so no secret either.
    pub message: String,
}

/// More would be a list of consequences rather than of mistakes.
const MOST: usize = 20;

/// Parses `text`. After a mistake the lines around it are blanked and the rest is parsed again: the parser's own recovery
/// drops whole tables. The text that was understood in the end has the same length and lines as the original.
pub(super) fn survey(text: &str) -> (Option<String>, Vec<Mistake>) {
    let mut rest = text.to_owned();
    let mut mistakes = Vec::new();
    while mistakes.len() < MOST {
        let Some(mistake) = first_mistake(&rest) else {
            return (Some(rest), mistakes);
        };
        let lines = spoilt_lines(&rest, mistake.span.start);
        mistakes.push(mistake);
        let blank: String = rest[lines.clone()].chars().flat_map(blank).collect();
        if blank == rest[lines.clone()] {
            break;
        }
        rest.replace_range(lines, &blank);
    }
    (None, mistakes)
}

/// Spaces of the same length in bytes; line ends stay.
fn blank(c: char) -> impl Iterator<Item = char> {
    let (with, count) = if c == '\n' { ('\n', 1) } else { (' ', c.len_utf8()) };
    std::iter::repeat_n(with, count)
}

fn first_mistake(text: &str) -> Option<Mistake> {
    let (_, errors): (Spanned<DeTable<'_>>, _) = DeTable::parse_recoverable(text);
    let mistakes =
        errors.iter().map(|error| Mistake { span: error.span().unwrap_or(0..0), message: error.message().to_owned() });
    mistakes.min_by_key(|mistake| mistake.span.start)
}

/// The line of `offset`; for the header of a table, its keys as well, which would land in the table before it.
fn spoilt_lines(text: &str, offset: usize) -> Range<usize> {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line_end = |from: usize| text[from..].find('\n').map_or(text.len(), |at| from + at + 1);
    let mut end = line_end(start);
    if text[start..end].trim_start().starts_with('[') {
        while end < text.len() && !text[end..].trim_start_matches([' ', '\t']).starts_with('[') {
            end = line_end(end);
        }
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of_mistakes(text: &str) -> Vec<usize> {
        let (_, mistakes) = survey(text);
        mistakes.iter().map(|m| text[..m.span.start].matches('\n').count() + 1).collect()
    }

    #[test]
    fn every_line_with_a_mistake_is_told_once() {
        assert_eq!(
            lines_of_mistakes("a = 1\nb = x\n[t]\nq q = 1\nc = \"open\nd = 1\n[u\ne = 1\n[v]\nf =\n"),
            [2, 4, 5, 7, 10]
        );
        assert_eq!(lines_of_mistakes("a = 1\na = 2\n[t]\n[t]\nb = 1\n"), [2, 4]);
        assert!(lines_of_mistakes("a = 1\n").is_empty());
    }

    #[test]
    fn what_is_understood_keeps_its_place() {
        let text = "é = x\n[a]\nb = 1\n";
        let (rest, _) = survey(text);
        let rest = rest.unwrap();
        assert_eq!((rest.len(), rest.find("[a]")), (text.len(), text.find("[a]")));
    }

    #[test]
    fn a_file_of_mistakes_has_an_end() {
        let (rest, mistakes) = survey(&"x\n".repeat(1000));
        assert_eq!((rest, mistakes.len()), (None, MOST));
    }
}
