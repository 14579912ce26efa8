//! The tables of the store.

use std::fmt::Write as _;

use super::{COSTS, Cost, Reading, Readings, TROUBLES, Trouble};
use crate::{
    args::Args,
    machine,
    report::{figure, mark, percentile},
    rounds::median,
};

/// How much the 99th percentile may grow, what a refusal may take in milliseconds, and a recovery in seconds.
const TIMES: f64 = 1.1;
const REFUSAL: f64 = 250.0;
const RECOVERY: f64 = 2.0;

/// The report as Markdown.
pub fn markdown(all: &Readings, args: &Args) -> String {
    let mut text = format!("{}. Medians of {} rounds, times in ms.\n\n", machine::describe(), args.rounds);
    text.push_str("| the store | calls | lost | p50 well | p50 | p50 / well | p99 well | p99 | p99 / well | owed | longest create meanwhile | owed | recovery (s) | owed |\n");
    text.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: | --- | ---: | --- |\n");
    for (trouble, readings) in TROUBLES.into_iter().zip(&all.troubles) {
        let well = |part| median(readings.iter().map(|reading| percentile(&reading.well, part)).collect());
        let ill = |part| median(readings.iter().map(|reading| percentile(&reading.ill, part)).collect());
        let times = |part: f64| {
            let ratio = |reading: &Reading| percentile(&reading.ill, part) / percentile(&reading.well, part);
            median(readings.iter().map(ratio).collect())
        };
        let claim = readings.iter().map(|reading| reading.claim).fold(f64::NAN, f64::max);
        let recovery = readings.iter().map(|reading| reading.recovery).fold(f64::NAN, f64::max);
        let refused = readings.iter().all(|reading| reading.refused);
        // The first that is lost ends its round.
        let lost = if all.failures.is_empty() { "0" } else { "see below" };
        writeln!(
            text,
            "| {} | {} | {lost} | {:.3} | {:.3} | {:.2} | {:.3} | {:.3} | {:.2} | {} | {claim:.0}{} | {} | {recovery:.2} | {} |",
            words(trouble),
            readings.iter().map(|reading| reading.ill.len()).sum::<usize>(),
            well(0.5),
            ill(0.5),
            times(0.5),
            well(0.99),
            ill(0.99),
            times(0.99),
            mark(format!("≤ {TIMES}"), times(0.99), TIMES),
            if refused { ", refused" } else { "" },
            if trouble == Trouble::Slow { String::new() } else { mark(format!("≤ {REFUSAL} ms"), claim, REFUSAL) },
            mark(format!("≤ {RECOVERY}"), recovery, RECOVERY),
        )
        .ok();
    }
    text.push_str(&costs(all));
    for failure in &all.failures {
        writeln!(text, "\nFailed (a call that is not answered with its result ends its round): {failure}").ok();
    }
    text
}

fn words(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Down => "killed, and started again empty",
        Trouble::Hung => "stopped (SIGSTOP)",
        Trouble::Slow => "100 ms for each answer",
    }
}

fn costs(all: &Readings) -> String {
    let mut text =
        "\n| what a store costs that is well | figure | in memory | in Redis | / memory |\n| --- | --- | ---: | ---: | ---: |\n"
            .to_owned();
    let rows =
        [(COSTS[0], "calls (/s)"), (COSTS[0], "CPU per million (s)"), (COSTS[1], "p50 (µs)"), (COSTS[1], "p99 (µs)")];
    for (at, (workload, name)) in rows.into_iter().enumerate() {
        let of = |costs: &[Cost]| costs.iter().map(|cost| cost.figures[at]).collect::<Vec<_>>();
        let (memory, redis) = (of(&all.memory), of(&all.redis));
        let ratio = redis.iter().zip(&memory).map(|(redis, memory)| redis / memory).collect();
        let (memory, redis) = (figure(median(memory)), figure(median(redis)));
        writeln!(text, "| {workload} | {name} | {memory} | {redis} | {:.2} |", median(ratio)).ok();
    }
    let calls: f64 = all.redis.iter().map(|cost| cost.calls).sum();
    let mut commands = std::collections::BTreeMap::<&str, u64>::new();
    for (name, count) in all.redis.iter().flat_map(|cost| &cost.commands) {
        *commands.entry(name).or_default() += count;
    }
    let total: u64 = commands.values().sum();
    let named: Vec<_> = commands.iter().map(|(name, count)| format!("{count} {name}")).collect();
    writeln!(
        text,
        "\nWhile {} calls of 16 clients went through, Redis ran {total} commands (`INFO commandstats` before and after), \
         the creates of their sessions, the renewals and the watching included: {}.",
        figure(calls),
        named.join(", "),
    )
    .ok();
    text
}
