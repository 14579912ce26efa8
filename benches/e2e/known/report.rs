//! The tables of known sessions.

use std::fmt::Write as _;

use super::{CASES, FEW, Reading, Readings};
use crate::{
    args::Args,
    machine,
    report::{mark, percentile},
    rounds::median,
};

/// The most of each: MiB of all that are known, bytes of a parked one, milliseconds that a clean-up may add to a call.
const MEBIBYTES: f64 = 300.0;
const PARKED: f64 = 1024.0;
const DELAY: f64 = 5.0;

/// The report as Markdown.
pub fn markdown(all: &Readings, args: &Args) -> String {
    let mut text = format!("{}. Medians of {} rounds, times in ms.\n\n", machine::describe(), args.rounds);
    text.push_str("| what is known | figure | | owed |\n| --- | --- | ---: | --- |\n");
    if let Some((with, without)) = all.owners {
        let name = format!("{} sessions with their owners, read from Redis", all.sizes.known);
        let bound = mark(format!("≤ {MEBIBYTES} MiB"), with, MEBIBYTES);
        writeln!(text, "| {name} | resident memory of the process (MiB) | {with:.0} | {bound} |").ok();
        writeln!(text, "| none | the same | {without:.0} | |").ok();
    }
    if let Some(parked) = &all.parked {
        let beside = parked.each - parked.params;
        let name = format!("{:.0} parked sessions, params of {:.0} bytes each", parked.count, parked.params);
        let bound = mark(format!("≤ {PARKED} B"), beside, PARKED);
        writeln!(text, "| {name} | resident memory of each beside its params (B) | {beside:.0} | {bound} |").ok();
    }
    if !all.table.is_empty() {
        let more = median(all.table.iter().map(|(many, few)| many - few).collect());
        writeln!(
        text,
        "| one client, {} live sessions instead of {FEW}, a call to each in turn | CPU that a call costs more (µs) | {more:.2} | {} |",
        all.sizes.live,
        mark("≤ 2".into(), more, 2.0),
    )
    .ok();
    }
    text.push_str("\n| a clean-up of all of them | listed a second | dealt with a second | calls | p50 quiet | p50 | p99 quiet | p99 | longest quiet | longest | longer | owed |\n");
    text.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n");
    for (case, readings) in CASES.iter().zip(&all.cleaning) {
        row(&mut text, case.name, readings);
    }
    for failure in &all.failures {
        writeln!(text, "\nFailed: {failure}").ok();
    }
    text
}

fn row(text: &mut String, name: &str, readings: &[Reading]) {
    let of = |figure: &dyn Fn(&Reading) -> f64| median(readings.iter().map(figure).collect());
    let quiet = |part: f64| of(&|reading| percentile(&reading.quiet, part));
    let loaded = |part: f64| of(&|reading| percentile(&reading.loaded, part));
    let longer = of(&|reading| percentile(&reading.loaded, 1.0) - percentile(&reading.quiet, 1.0));
    writeln!(
        text,
        "| {name} | {:.0} | {:.0} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {:.2} | {:.2} | {longer:.2} | {} |",
        of(&|reading| reading.listed as f64 / reading.took),
        of(&|reading| reading.dealt as f64 / reading.took),
        readings.iter().map(|reading| reading.loaded.len()).sum::<usize>(),
        quiet(0.5),
        loaded(0.5),
        quiet(0.99),
        loaded(0.99),
        quiet(1.0),
        loaded(1.0),
        mark(format!("≤ {DELAY}"), longer, DELAY),
    )
    .ok();
}
