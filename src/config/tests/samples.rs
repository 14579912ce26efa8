//! The files in `conf/`.

use std::{fs, path::PathBuf};

use crate::config::{
    kind::Shape,
    parse, sample,
    schema::File,
    section::{Outline, Section},
};

fn conf() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conf");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files.iter().map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn conf_holds_what_the_program_prints() {
    let (_, text) = conf().into_iter().find(|(name, _)| name.ends_with("/pilotfish.toml")).unwrap();
    assert_eq!(text, sample(), "run: pilotfish sample > conf/pilotfish.toml");
}

#[test]
fn every_file_is_taken_without_advice() {
    let files = conf();
    assert!(files.len() >= 3);
    for (name, text) in files {
        let config = parse(&text, &name, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.warnings, [], "{name}");
    }
}

/// The line of a key or table that is switched off in the sample, without its `#`.
fn switched_off(line: &str) -> Option<&str> {
    let inner = line.strip_prefix("# ").or_else(|| line.strip_prefix('#'))?;
    if inner.starts_with('[') {
        return Some(inner);
    }
    let (key, _) = inner.split_once(" = ")?;
    key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_').then_some(inner)
}

/// The sample with its defaults switched on, or with its examples too.
pub(super) fn switched_on(default_only: bool) -> String {
    let lines = sample();
    let on = |line| match switched_off(line) {
        Some(inner) if !default_only || !line.starts_with("# ") => inner,
        _ => line,
    };
    let text = lines.lines().map(on).collect::<Vec<_>>().join("\n");
    let jwks = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/tests/jwks.json");
    let text = text.replace("/run/secrets/alice-token", "/proc/self/comm").replace("/etc/pilotfish/jwks.json", jwks);
    let text = text.replace("/etc/pilotfish/", &format!("{}/", super::certificates::folder().display()));
    text.replace("/run/secrets/cli-token", "/proc/self/comm")
}

/// Every variable of the sample.
fn env(name: &str) -> Option<String> {
    Some(format!("s3cret of {name}"))
}

/// With every line switched on the file is still right: so each default and each example is what its key takes, and
/// the defaults change nothing.
#[test]
fn the_defaults_and_examples_of_the_sample_are_right() {
    let read = |text: &str| parse(text, "test.toml", &env).unwrap_or_else(|problems| panic!("{problems}"));
    let (mut plain, mut defaults, all) = (read(&sample()), read(&switched_on(true)), read(&switched_on(false)));
    let token = all.listeners[0].connection_token.as_ref().map(|token| token.expose());
    assert_eq!(token, Some("s3cret of PILOTFISH_CLIENT_TOKEN"));
    assert_eq!(all.runtime.worker_threads, Some(4));
    assert_eq!((plain.tenants.len(), all.tenants.len()), (0, 2));
    for config in [&mut plain, &mut defaults] {
        config.fingerprint.clear();
        config.warnings.clear();
    }
    assert_eq!(plain, defaults);
}

#[test]
fn every_declared_key_stands_in_the_sample() {
    fn keys(outline: &Outline, found: &mut Vec<(&'static str, &'static str)>) {
        for key in &outline.keys {
            match key.shape {
                Shape::Value => found.push((key.name, key.doc[0])),
                Shape::Table(o) | Shape::TableOrNone(o) | Shape::Tables(o) | Shape::NamedTables(o) => keys(&o(), found),
            }
        }
    }
    let (text, mut declared) = (sample(), Vec::new());
    keys(&File::outline(), &mut declared);
    assert!(declared.len() > 60);
    for (name, doc) in declared {
        let documented = text.split(&format!("# {doc}\n")).skip(1).any(|after| {
            let setting = after.lines().find(|line| !line.starts_with("#   ")).unwrap_or("");
            setting.trim_start_matches(['#', ' ']).trim_start_matches("or: ").starts_with(&format!("{name} = "))
        });
        assert!(documented, "{name} is not in the sample");
    }
}

/// A key that nobody knows is refused in every table of every file, at its own line.
#[test]
fn no_table_takes_an_unknown_key() {
    let mut files = conf();
    files.push(("test.toml".to_owned(), switched_on(false)));
    for (name, text) in files {
        let lines: Vec<&str> = text.lines().collect();
        let mut places: Vec<(usize, String)> = vec![(0, with_line(&lines, 0, "bogus_key = 1"))];
        for (index, line) in lines.iter().enumerate() {
            if line.starts_with('[') {
                places.push((index + 1, with_line(&lines, index + 1, "bogus_key = 1")));
            }
            // Tables in one line: the key goes right behind the brace.
            if !line.starts_with('#') && line.contains("{ ") {
                let changed = line.replacen("{ ", "{ bogus_key = 1, ", 1);
                let mut lines = lines.clone();
                lines[index] = &changed;
                places.push((index, lines.join("\n")));
            }
        }
        assert!(places.len() >= 3, "{name}");
        for (line, text) in places {
            let problems = parse(&text, &name, &env).unwrap_err().errors;
            let told: Vec<_> =
                problems.iter().map(|p| (p.line, p.found.as_str(), p.key.ends_with("bogus_key"))).collect();
            assert_eq!(told, [(line + 1, "an unknown key", true)], "{name}:\n{text}");
        }
    }
}

fn with_line(lines: &[&str], index: usize, line: &str) -> String {
    let mut lines = lines.to_vec();
    lines.insert(index, line);
    lines.join("\n")
}
