//! `[pool.NAME.supervise]`: CLIs that we start ourselves.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{HOUR, ZERO, ms};
use crate::{
    config::{
        kind::{
            HomeTemplate, PortRange, count, duration, home_template, name_prefix, number, optional, path, port_range,
            switch, table, variables, words,
        },
        section::section,
    },
    model::Secret,
};

section! {
    /// Copilot CLIs that pilotfish starts, watches, restarts and stops. They share one COPILOT_HOME, so their storage is shared.
    pub struct Supervise {
        /// How many. Required, unless each tenant or user has its own.
        pub count: Option<u32> = optional(count::<u32>(1, 1000)), absent("3");
        /// The program and its arguments; there is no shell. `{port}` becomes the port of the instance.
        pub command: Vec<String> = words(), value("[\"copilot\", \"--headless\", \"--port\", \"{port}\", \"--no-auto-update\"]");
        /// Environment variables for all of them: text, or `{ env = "NAME" }` or `{ file = "PATH" }` for secrets.
        pub env: BTreeMap<String, Secret> = variables(), value("{}");
        /// Whether they get only `env` (with PATH and HOME) instead of pilotfish's environment and `env`.
        pub clear_env: bool = switch(), value("false");
        /// The folder they run in. Without it: the one pilotfish runs in.
        pub working_directory: Option<PathBuf> = optional(path()), absent("\"/srv/work\"");
        /// Their COPILOT_HOME. Without it: what the environment says, or ~/.copilot. With the pool's `isolation`: `{tenant}` and `{user}` are filled in.
        pub home: Option<HomeTemplate> = optional(home_template()), absent("\"/var/lib/pilotfish/copilot\"");
        /// The ports of 127.0.0.1 that they get.
        pub port_range: PortRange = port_range(), text("4400-4499");
        /// The first part of their names: `NAME-1`, `NAME-2` and so on. Without it: the pool's name.
        pub name_prefix: Option<String> = optional(name_prefix()), absent("\"copilot\"");
        /// How long one may take from its start to its first answer.
        pub start_timeout: Duration = duration(ms(100), HOUR), text("30s");
        /// How long one may be down, by the pool's health checks, before it is killed and started again.
        pub unresponsive_after: Duration = duration(ms(100), HOUR), text("30s");
        /// How long one may take to end after SIGTERM before it gets SIGKILL. 0s: SIGKILL at once.
        pub stop_timeout: Duration = duration(ZERO, HOUR), text("5s");
        /// The pause before one that died is started again.
        pub restart_backoff: RestartBackoff = table::<RestartBackoff>(), value("{}");
    }
}

section! {
    /// The pause before a restart: it doubles with every death in a row.
    pub struct RestartBackoff {
        /// The first pause.
        pub min: Duration = duration(ms(10), HOUR), text("500ms");
        /// The longest pause.
        pub max: Duration = duration(ms(10), HOUR), text("30s");
        /// The part of a pause that is random.
        pub jitter: f64 = number(0.0, 1.0, false), value("0.2");
    }
}

impl Supervise {
    /// How many; none where each tenant or user has its own.
    pub fn processes(&self) -> u32 {
        self.count.unwrap_or(0)
    }
}
