//! TOML syntax: as many of a file's mistakes as can be told in one go.

use std::ops::Range;

use toml::{Spanned, de::DeTable};

/// A mistake in the syntax. Its sentences are the parser's, which never hold text of the file, so no secret either.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub span: Range<usize>,
    pub found: String,
    pub expected: String,
}

impl Mistake {
    fn new(error: &toml::de::Error) -> Self {
        let (found, expected) = error.message().split_once(", expected ").unwrap_or((error.message(), "TOML"));
        let (found, expected) = (format!("bad TOML, {found}"), expected.to_owned());
        Self { span: error.span().unwrap_or(0..0), found, expected }
    }
}

/// More would be a list of consequences rather than of mistakes.
const MOST: usize = 20;

/// Parses `text`. After a mistake the statement around it is blanked and the rest is parsed again: the parser's own
/// recovery drops whole tables. What was understood in the end has the same length and lines as the original.
pub(super) fn survey(text: &str) -> (Option<String>, Vec<Mistake>) {
    let mut rest = text.to_owned();
    let mut mistakes = Vec::new();
    while mistakes.len() < MOST {
        let found = mistakes_of(&rest);
        let Some(first) = found.first() else {
            return (Some(rest), mistakes);
        };
        let spoilt = statement(&rest, first.span.start);
        let told = found
            .into_iter()
            .enumerate()
            .filter(|(index, mistake)| *index == 0 || spoilt.contains(&mistake.span.start));
        mistakes.extend(told.map(|(_, mistake)| mistake));
        let blanked: String = rest[spoilt.clone()].chars().flat_map(blank).collect();
        if blanked == rest[spoilt.clone()] {
            break;
        }
        rest.replace_range(spoilt, &blanked);
    }
    mistakes.truncate(MOST);
    (None, mistakes)
}

/// Spaces of the same length in bytes; line ends stay.
fn blank(c: char) -> impl Iterator<Item = char> {
    let (with, count) = if c == '\n' { ('\n', 1) } else { (' ', c.len_utf8()) };
    std::iter::repeat_n(with, count)
}

/// In the order of the text, one for each line: further ones are mostly consequences.
fn mistakes_of(text: &str) -> Vec<Mistake> {
    let (_, errors): (Spanned<DeTable<'_>>, _) = DeTable::parse_recoverable(text);
    let mut mistakes: Vec<Mistake> = errors.iter().map(Mistake::new).collect();
    mistakes.sort_by_key(|mistake| mistake.span.start);
    mistakes.dedup_by_key(|mistake| line_start(text, mistake.span.start));
    mistakes
}

/// The lines of the statement at `offset`; for the header of a table its keys as well, which would land in the table
/// before it.
fn statement(text: &str, offset: usize) -> Range<usize> {
    let mut start = line_start(text, offset);
    while start > 0 && !opens(&text[start..]) {
        start = line_start(text, start - 1);
    }
    let header = is_header(&text[start..]);
    let mut end = line_end(text, start);
    while end < text.len() && !(if header { is_header(&text[end..]) } else { opens(&text[end..]) }) {
        end = line_end(text, end);
    }
    start..end
}

fn line_start(text: &str, offset: usize) -> usize {
    text[..text.floor_char_boundary(offset)].rfind('\n').map_or(0, |at| at + 1)
}

fn line_end(text: &str, start: usize) -> usize {
    text[start..].find('\n').map_or(text.len(), |at| start + at + 1)
}

/// Whether the line looks like the first one of a statement: the other lines of an array start with a bracket, a quote
/// or a comma.
fn opens(line: &str) -> bool {
    let first = line.trim_start_matches([' ', '\t']).chars().next();
    is_header(line) || first.is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '-' | '='))
}

fn is_header(line: &str) -> bool {
    line.trim_start_matches([' ', '\t']).starts_with('[')
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
    fn a_mistake_in_an_array_of_many_lines_spoils_no_other_table() {
        let text = "a = [\n  { b = 1 c = 2 },\n  { b = 1 },\n]\n[t]\nd = 1\n[u]\nf = x\n";
        assert_eq!(lines_of_mistakes(text), [2, 8]);
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
