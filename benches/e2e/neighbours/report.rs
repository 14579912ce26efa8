//! The table of the neighbours.

use std::fmt::Write as _;

use super::{Kind, Reading, Row};
use crate::{
    args::Args,
    machine,
    report::{mark, percentile},
    rounds::median,
};

/// The most that the 99th percentile may grow under a flood, and what it may be in milliseconds while tokens are tried.
const TIMES: f64 = 2.0;
const LOGIN: f64 = 50.0;

/// The report as Markdown.
pub fn markdown(rows: &[Row], failures: &[String], args: &Args) -> String {
    let mut text = format!("{}. Medians of {} rounds, times in ms.\n\n", machine::describe(), args.rounds);
    text.push_str("| load | measured | sent | p50 quiet | p50 | p99 quiet | p99 | p99 / quiet | owed | most used of a quota | owed |\n");
    text.push_str("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: | --- |\n");
    for row in rows {
        let of = |figure: fn(&Reading) -> f64| median(row.readings.iter().map(figure).collect());
        let quiet = |part| median(row.readings.iter().map(|reading| percentile(&reading.quiet, part)).collect());
        let loaded = |part| median(row.readings.iter().map(|reading| percentile(&reading.loaded, part)).collect());
        let times = of(|reading| percentile(&reading.loaded, 0.99) / percentile(&reading.quiet, 0.99));
        // A quota that is not kept once is not kept.
        let used = row.readings.iter().map(|reading| reading.used).fold(f64::NAN, f64::max);
        let (measured, owed) = match row.case.kind {
            Kind::Flood(_) => ("calls, 500/s", mark(format!("≤ {TIMES}"), times, TIMES)),
            Kind::Guess(_) => ("logins, 200/s", mark(format!("p99 ≤ {LOGIN} ms"), loaded(0.99), LOGIN)),
        };
        let (share, kept) = match row.case.kind {
            Kind::Flood(_) => (format!("{used:.2}"), mark("≤ 1".into(), used, 1.0)),
            Kind::Guess(_) => Default::default(),
        };
        writeln!(
            text,
            "| {} | {measured} | {:.0} {} | {:.3} | {:.3} | {:.3} | {:.3} | {times:.2} | {owed} | {share} | {kept} |",
            row.case.name,
            of(|reading| reading.sent),
            row.case.unit,
            quiet(0.5),
            loaded(0.5),
            quiet(0.99),
            loaded(0.99),
        )
        .ok();
    }
    for failure in failures {
        writeln!(text, "\nFailed: {failure}").ok();
    }
    text
}
