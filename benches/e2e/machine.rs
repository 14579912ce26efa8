//! The machine: which core does what, how many descriptors, what to print above the table.

use std::{env, fs, io, os::unix::process::CommandExt, process::Command, thread};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const PINNED: &str = "PILOTFISH_BENCH_PINNED";

/// The core of the proxy; generator and backend have the other one.
pub const PROXY_CORE: &str = "0";
const LOAD_CORE: &str = "1";

/// Raises the descriptor limit (children inherit it) and starts this program again on the load's core.
pub fn pin_and_raise() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    if env::var_os(PINNED).is_some() {
        return Ok(());
    }
    if thread::available_parallelism()?.get() < 2 {
        return Err(io::Error::other("one core only"));
    }
    // std has no call for affinity; util-linux is on every Debian.
    let again = Command::new("taskset")
        .args(["-c", LOAD_CORE])
        .arg(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(PINNED, "1")
        .exec();
    Err(again)
}

/// A line on the machine and the versions.
pub fn describe() -> String {
    let first = |text: String, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or("").to_owned();
        line.split_once(':').map_or(line.clone(), |(_, value)| value.trim().to_owned())
    };
    let cpu = first(fs::read_to_string("/proc/cpuinfo").unwrap_or_default(), "model name");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = fs::read_to_string("/proc/cpuinfo").unwrap_or_default().matches("processor\t").count();
    format!(
        "{} · {cores} cores of {cpu} · Linux {} · {} · {} · pilotfish {}",
        says("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        kernel.trim(),
        says("haproxy", &["-v"]).split(" 20").next().unwrap_or("").trim(),
        says("rustc", &["-V"]),
        env!("CARGO_PKG_VERSION"),
    )
}

fn says(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("").to_owned()
}

/// Puts the calling thread under the idle policy.
pub fn step_back() -> io::Result<()> {
    let this = fs::read_link("/proc/thread-self")?;
    let thread = this.file_name().ok_or_else(|| io::Error::other("no thread id"))?;
    // std has no call for policies; util-linux is on every Debian.
    let status = Command::new("chrt").args(["--idle", "--pid", "0"]).arg(thread).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("chrt refused")) }
}
