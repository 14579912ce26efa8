//! Tests of the whole way from text to config or problems.

mod bad_files;
mod bad_values;
mod certificates;
mod good;
mod isolation;
mod logins;
mod mutations;
mod samples;
mod secrets;
mod syntax;
mod tenants;
mod together;
mod walls;
mod warnings;

use super::{Config, Problem, Problems, parse};

/// A listener and a pool without a fault, to stand below the text of a case.
const REST: &str = r#"
[[listener]]
name = "ok"
bind = "127.0.0.1:0"
pool = "ok"
[pool.ok]
backends = [ { name = "ok", address = "backend:1" } ]
"#;

/// What is expected of one problem: its line, its key, and words of its text.
type Expected = (usize, &'static str, &'static [&'static str]);

/// A file and all the problems that it has, in their order.
struct Case {
    text: &'static str,
    problems: &'static [Expected],
}

/// Parses `text` as `test.toml`, in an environment with `TOKEN`, `LONG` and `LONGER` (set), `EMPTY` and `LINES`.
fn read(text: &str) -> Result<Config, Problems> {
    parse(text, "test.toml", &|name| match name {
        "TOKEN" => Some("s3cret".to_owned()),
        "LONG" => Some("s3cret of 16 bytes and more".to_owned()),
        "LONGER" => Some("s3cret of 32 bytes and more of them".to_owned()),
        "EMPTY" => Some(String::new()),
        "LINES" => Some("a\nb".to_owned()),
        _ => None,
    })
}

/// Every case has exactly its errors.
fn refuses(cases: &[Case], rest: &str) {
    for case in cases {
        match read(&format!("{}{rest}", case.text)) {
            Ok(_) => panic!("taken, but it should not be:\n{}", case.text),
            Err(problems) => compare(case, &problems.errors),
        }
    }
}

fn compare(case: &Case, found: &[Problem]) {
    let told: Vec<String> = found.iter().map(Problem::to_string).collect();
    let context = format!("{}\n-- told:\n{}", case.text, told.join("\n"));
    assert_eq!(found.len(), case.problems.len(), "number of problems of\n{context}");
    for (problem, (line, key, words)) in found.iter().zip(case.problems) {
        assert_eq!((problem.line, problem.key.as_str()), (*line, *key), "in\n{context}");
        assert!(problem.column > 0 && problem.file == "test.toml", "in\n{context}");
        for word in *words {
            assert!(problem.to_string().contains(word), "`{word}` is not in `{problem}` of\n{context}");
        }
    }
}
