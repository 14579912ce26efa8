//! A file of backends alone, which discovery reads again and again.

use std::path::Path;

use toml::de::DeTable;

use super::{
    Backend, Problems, check, read,
    reader::{Reader, Spot},
    schema::BackendsFile,
    section::Section,
    syntax, unreadable,
};

/// Reads the file of backends at `path`.
///
/// # Errors
/// Every problem of the file, or the one that it cannot be read.
pub fn backends_file(path: &Path) -> Result<Vec<Backend>, Problems> {
    let name = path.display().to_string();
    read(path).map_err(|found| unreadable(&name, found)).and_then(|text| parse_backends(&text, &name))
}

/// Checks the `text` of a file of backends; `file_name` stands in the problems.
///
/// # Errors
/// Every problem of the text.
pub fn parse_backends(text: &str, file_name: &str) -> Result<Vec<Backend>, Problems> {
    let mut reader = Reader::new(text, file_name, &|_| None);
    let (understood, mistakes) = syntax::survey(text);
    for mistake in &mistakes {
        let spot = Spot { path: String::new(), span: mistake.span.clone() };
        reader.refuse(&spot, mistake.found.clone(), mistake.expected.clone(), None);
    }
    let understood = understood.unwrap_or_default();
    let (table, _) = DeTable::parse_recoverable(&understood);
    let mut backends = Vec::new();
    if mistakes.is_empty() {
        backends = BackendsFile::read(&mut reader, table.get_ref(), &Spot::root()).backends;
        check::check_backends(&mut reader, "backend", &backends);
    }
    let (errors, warnings) = reader.finish();
    if errors.is_empty() { Ok(backends) } else { Err(Problems { errors, warnings }) }
}
