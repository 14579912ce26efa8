//! The config loader: any text gives a config or a list of problems, each with its place.

use pilotfish::config;

/// Reads `data` as a config file, with no environment. True if it is accepted.
pub fn check(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    match config::parse(text, "fuzz.toml", &|_| None) {
        Ok(_) => true,
        Err(problems) => {
            assert!(!problems.errors.is_empty(), "refused without a reason");
            let lines = text.lines().count().max(1);
            for problem in &problems.errors {
                assert!(problem.line <= lines + 1, "line {} of {lines}", problem.line);
            }
            false
        }
    }
}
