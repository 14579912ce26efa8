//! The table, on the terminal and in `docs/performance.md`.

use std::{fmt::Write as _, fs, io, path::PathBuf};

use crate::{
    args::Args,
    machine,
    peer::Kind,
    rounds::{Row, Table},
    workload::Target,
};

/// The marks around the tables.
pub const WORKLOADS: &str = "written by `cargo bench --bench e2e`";
pub const NEIGHBOURS: &str = "written by `cargo bench --bench e2e`, neighbours";
pub const STORE: &str = "written by `cargo bench --bench e2e`, store";
pub const KNOWN: &str = "written by `cargo bench --bench e2e`, known";

/// The whole report as Markdown.
pub fn markdown(table: &Table, args: &Args) -> String {
    let mut text = format!("{}. Medians of {} interleaved rounds.\n\n", machine::describe(), args.rounds);
    text.push_str("| workload | figure | direct | HAProxy tcp | pilotfish session | / HAProxy | owed | pilotfish connection | / HAProxy | owed | walled session | / open | owed |\n");
    text.push_str("| --- | --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | --- | ---: | ---: | --- |\n");
    for row in &table.rows {
        let figure = |kind| figure(row.median(kind));
        writeln!(
            text,
            "| {} | {} ({}) | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.workload,
            row.metric.name,
            row.metric.unit,
            figure(Kind::Direct),
            figure(Kind::HaProxy),
            figure(Kind::Session),
            ratio(row.ratio(Kind::Session, Kind::HaProxy)),
            owed(row, Kind::Session),
            figure(Kind::Connection),
            ratio(row.ratio(Kind::Connection, Kind::HaProxy)),
            owed(row, Kind::Connection),
            figure(Kind::Walled),
            ratio(row.ratio(Kind::Walled, Kind::Session)),
            owed(row, Kind::Walled),
        )
        .ok();
    }
    for failure in &table.failures {
        writeln!(text, "\nFailed: {failure}").ok();
    }
    text
}

/// Puts a report between its marks in `docs/performance.md`.
pub fn write(report: &str, marks: &str) -> io::Result<PathBuf> {
    let (begin, end) = (format!("<!-- {marks}: begin -->"), format!("<!-- {marks}: end -->"));
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let old = fs::read_to_string(&path)?;
    let split = old.split_once(&begin).and_then(|(head, rest)| Some((head, rest.split_once(&end)?.1)));
    let (head, tail) = split.ok_or_else(|| io::Error::other(format!("no marks in {}", path.display())))?;
    fs::write(&path, format!("{head}{begin}\n{report}{end}{tail}"))?;
    Ok(path)
}

/// A value with three digits or so.
pub fn figure(value: f64) -> String {
    match value {
        value if value.is_nan() => "-".into(),
        value if value.abs() >= 1e6 => format!("{:.2} M", value / 1e6),
        value if value.abs() >= 1e4 => format!("{:.1} k", value / 1e3),
        value if value.abs() >= 100.0 => format!("{value:.0}"),
        value if value.abs() >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

fn ratio(value: f64) -> String {
    if value.is_finite() { format!("{value:.2}") } else { "-".into() }
}

/// The bound and whether it is kept.
fn owed(row: &Row, kind: Kind) -> String {
    let target = match kind {
        Kind::Session => row.metric.session,
        Kind::Walled => row.metric.walled,
        _ => row.metric.connection,
    };
    let of = |other| row.ratio(kind, other);
    let (bound, value, kept) = match target {
        Target::None => return String::new(),
        Target::AtMost(times) => (format!("≤ {times}"), of(Kind::HaProxy), of(Kind::HaProxy) <= times),
        Target::AtLeast(times) => (format!("≥ {times}"), of(Kind::HaProxy), of(Kind::HaProxy) >= times),
        Target::Absolute(most) => (format!("≤ {most} {}", row.metric.unit), row.median(kind), row.median(kind) <= most),
        Target::OfOpen(part) => (format!("≥ {part} x open"), of(Kind::Session), of(Kind::Session) >= part),
        Target::OfDirect(part) => (format!("≤ {part} x direct"), of(Kind::Direct), of(Kind::Direct) <= part),
    };
    match (value.is_nan(), kept) {
        (true, _) => format!("{bound} (not run)"),
        (false, true) => format!("{bound} ok"),
        (false, false) => format!("{bound} **missed**"),
    }
}

/// A bound, and whether a value is within it.
pub fn mark(bound: String, value: f64, most: f64) -> String {
    match value {
        value if value.is_nan() => format!("{bound} (not run)"),
        value if value <= most => format!("{bound} ok"),
        _ => format!("{bound} **missed**"),
    }
}

/// What this part of the readings does not exceed.
pub fn percentile(times: &[f64], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len().saturating_sub(1) as f64 * part) as usize).copied().unwrap_or(f64::NAN)
}
