//! `[pool.NAME.instances]`: how CLIs of one's own come and go, and what each is given.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{DAY, HOUR, ZERO, ms};
use crate::config::{
    kind::{
        HomeTemplate, IdRange, choice, count, duration, env_names, home_template, id_range, number, optional, path,
        size, switch, table, words,
    },
    section::section,
};

choice! {
    /// Who gets a CLI of its own.
    pub enum Isolation {
        /// nobody: the pool's backends are for all
        None = "none",
        /// each tenant
        Tenant = "tenant",
        /// each user of each tenant
        User = "user",
    }
}

section! {
    /// CLIs of one's own, with `isolation`: one is started when its tenant or user first says something, and stopped when it is
    /// not used. Its sessions are closed before, and resumed unseen after.
    pub struct Instances {
        /// How many run at once, spares included. One more waits until the one that was not used for longest is stopped.
        pub max_instances: u32 = count::<u32>(1, 10_000), value("8");
        /// How many are started before anybody needs them.
        pub warm_spares: u32 = count::<u32>(0, 1000), value("0");
        /// After how long without use one is stopped. 0s: never.
        pub idle_stop: Duration = duration(ZERO, 366 * DAY), text("15m");
        /// How long a client waits for a place and for the start.
        pub queue_timeout: Duration = duration(ms(10), HOUR), text("30s");
        /// The file with the GitHub token of each: `{tenant}` and `{user}` are filled in.
        pub token_file: Option<HomeTemplate> = optional(home_template()), absent("\"/run/secrets/copilot/{tenant}\"");
        /// The variables of pilotfish's environment with the GitHub tokens, by "tenant" or "tenant/user".
        pub token_env: BTreeMap<String, String> = env_names(), value("{}");
        /// The program, with its arguments, that prints the GitHub token; `{tenant}` and `{user}` are filled in.
        pub token_command: Option<Vec<String>> = optional(words()), absent("[\"/usr/local/bin/copilot-token\", \"{tenant}\"]");
        /// How long that program may take.
        pub token_timeout: Duration = duration(ms(10), HOUR), text("5s");
        /// How often it is looked whether a GitHub token has changed: its CLI is started again when nothing of it runs. 0s: never.
        pub token_check: Duration = duration(ZERO, DAY), text("30s");
        /// Whether a tenant or user without a GitHub token is refused.
        pub token_required: bool = switch(), value("false");
        /// The user ids that they get, one each, remembered as the owner of its home. Needs root. Without it: pilotfish's own.
        pub uid_range: Option<IdRange> = optional(id_range()), absent("\"20000-20999\"");
        /// The group id of all of them. Without it: the number of the user id.
        pub gid: Option<u32> = optional(count::<u32>(1, u32::MAX - 1)), absent("20000");
        /// What each may use.
        pub limits: InstanceLimits = table::<InstanceLimits>(), value("{}");
    }
}

section! {
    /// What each CLI, with all that it starts, may use. What is not set has no limit.
    pub struct InstanceLimits {
        /// Memory, by a control group (cgroup v2).
        pub memory: Option<usize> = optional(size(64 << 20, 1 << 44)), absent("\"2GiB\"");
        /// Processors, by a control group.
        pub cpu: Option<f64> = optional(number(0.01, 1024.0, false)), absent("1.5");
        /// Processes and threads, by a control group.
        pub pids: Option<u32> = optional(count::<u32>(16, 4_000_000)), absent("512");
        /// The control group below which theirs are made. Without it: pilotfish's own.
        pub cgroup: Option<PathBuf> = optional(path()), absent("\"/sys/fs/cgroup/pilotfish\"");
        /// Open files of a process.
        pub open_files: Option<u32> = optional(count::<u32>(64, 1_000_000)), absent("4096");
        /// The largest file that one may write.
        pub file_size: Option<usize> = optional(size(1 << 20, 1 << 44)), absent("\"1GiB\"");
        /// Processes and threads of its user id: only useful with `uid_range`.
        pub processes: Option<u32> = optional(count::<u32>(16, 4_000_000)), absent("1024");
    }
}
