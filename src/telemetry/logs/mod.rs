//! Logs: one subscriber, text or JSON lines on standard error.
//!
//! Levels: `info` = life cycle, `debug` = one connection, `trace` = one frame. Bodies, tokens and keys are never
//! logged. The names of fields are in [`keys`].

pub mod keys;
mod panics;
mod sparing;

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, fmt, fmt::MakeWriter, util::SubscriberInitExt};

pub use panics::keep_quiet as keep_panics_quiet;
pub use sparing::Sparing;

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, fields at the top level.
    Json,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("cannot read the log filter `{filter}`: {why}")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        why: tracing_subscriber::filter::ParseError,
    },
    /// A subscriber is in place already.
    #[error("logging is set up already: {0}")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging to standard error for the whole process. `filter` is a level or directives such as
/// `info,pilotfish::serve=debug`. Records of libraries that use the `log` crate (pingora) come too.
pub fn init(format: Format, filter: &str) -> Result<(), LogError> {
    subscriber(format, filter, io::stderr, io::stderr().is_terminal())?.try_init()?;
    Ok(())
}

/// Checks a filter without starting anything.
pub fn check_filter(filter: &str) -> Result<(), LogError> {
    parse(filter).map(drop)
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder().parse(filter).map_err(|why| LogError::Filter { filter: filter.to_owned(), why })
}

fn subscriber<W>(
    format: Format,
    filter: &str,
    writer: W,
    colours: bool,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = fmt().with_env_filter(parse(filter)?).with_writer(writer).with_ansi(colours);
    Ok(match format {
        Format::Text => Box::new(builder.finish()),
        Format::Json => Box::new(builder.json().flatten_event(true).with_current_span(false).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: &str) -> String {
        let lines = Lines::default();
        let sink = lines.clone();
        let subscriber = subscriber(format, filter, move || sink.clone(), false).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!({ keys::CONN } = 7, { keys::POOL } = "copilot", { keys::DUR_MS } = 1.5, "closed");
            tracing::debug!("fine");
        });
        let bytes = lines.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_have_our_keys_at_the_top() {
        let text = logged(Format::Json, "info");
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["conn"], 7);
        assert_eq!(line["pool"], "copilot");
        assert_eq!(line["dur_ms"], 1.5);
        assert_eq!(line["message"], "closed");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn text_lines_obey_the_filter() {
        let text = logged(Format::Text, "debug");
        assert!(text.contains("conn=7") && text.contains("fine"), "{text}");
        assert!(!logged(Format::Text, "warn").contains("conn"));
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = check_filter("pilotfish=loud").unwrap_err().to_string();
        assert!(error.contains("pilotfish=loud"), "{error}");
        assert!(check_filter("info,pilotfish::serve=trace").is_ok());
    }
}
