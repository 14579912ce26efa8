//! Whatever stands in a file, it is answered, never with a panic and never without end.

use proptest::prelude::*;

use super::{read, samples::switched_on};

/// The sample with every setting and example switched on, so that mutations reach every kind.
fn seed() -> String {
    let text = switched_on(false);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.join("\n")
}

fn place(text: &str, at: usize) -> usize {
    let mut at = at % (text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn answered(text: &str) {
    if let Err(problems) = read(text) {
        assert!(!problems.errors.is_empty());
        let lines = text.matches('\n').count() + 1;
        assert!(problems.errors.iter().all(|p| (1..=lines).contains(&p.line) && p.column >= 1), "{problems}");
        assert_eq!(problems.to_string().lines().count(), problems.errors.len() + problems.warnings.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_put_in(at: usize, piece in "[\\[\\]{}=\"'#.,0-9a-z\n\u{0}é-]{1,8}") {
        let mut text = seed();
        text.insert_str(place(&text, at), &piece);
        answered(&text);
    }

    #[test]
    fn pieces_taken_out(at: usize, length in 1usize..200) {
        let mut text = seed();
        let from = place(&text, at);
        let to = place(&text, (from + length).min(text.len()));
        text.replace_range(from.min(to)..to.max(from), "");
        answered(&text);
    }

    #[test]
    fn values_swapped(line: usize, value in "(-?[0-9]{1,30}|\"[^\"\\\\]{0,80}\"|\\[\\]|\\{\\}|true|nan|-inf|1e400|0xff|1979-05-27)") {
        let text = seed();
        let settings: Vec<&str> = text.lines().filter(|line| line.contains(" = ")).collect();
        let chosen = settings[line % settings.len()];
        let (key, _) = chosen.split_once(" = ").unwrap_or((chosen, ""));
        answered(&text.replacen(chosen, &format!("{key} = {value}"), 1));
    }

    #[test]
    fn anything(text in "\\PC{0,300}") {
        answered(&text);
    }
}
