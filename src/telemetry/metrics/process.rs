//! What the kernel says of this process, under the names that every Prometheus client library uses.

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use prometheus::{Counter, IntGauge};

use super::family::{Definition, MetricsError, Registrar};

/// The `process_*` metrics; read from `/proc` at each scrape.
#[derive(Debug)]
pub struct ProcessMetrics {
    cpu: Mutex<Counter>,
    resident: IntGauge,
    virtual_size: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
}

impl ProcessMetrics {
    /// Registers them. The start time is the time of this call, which the proxy makes first of all.
    pub fn register(to: &mut Registrar<'_>) -> Result<Self, MetricsError> {
        let started = gauge(to, "process_start_time_seconds", "Start of the process, seconds since the epoch.")?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        started.set(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        Ok(Self {
            cpu: Mutex::new(cpu(to)?),
            resident: gauge(to, "process_resident_memory_bytes", "Resident memory.")?,
            virtual_size: gauge(to, "process_virtual_memory_bytes", "Virtual memory.")?,
            open_fds: gauge(to, "process_open_fds", "Open file descriptors.")?,
            max_fds: gauge(to, "process_max_fds", "Most file descriptors that the process may open.")?,
            threads: gauge(to, "process_threads", "Threads.")?,
        })
    }

    /// Reads `/proc` once. What cannot be read keeps its last value.
    pub fn refresh(&self) {
        self.refresh_cpu();
        if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
            set(&self.resident, field(&status, "VmRSS:").map(|kib| kib * 1024));
            set(&self.virtual_size, field(&status, "VmSize:").map(|kib| kib * 1024));
            set(&self.threads, field(&status, "Threads:"));
        }
        // The directory handle that we count through is one of the entries.
        let open = std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1));
        set(&self.open_fds, open.and_then(|n| i64::try_from(n).ok()));
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        set(&self.max_fds, most.and_then(|n| i64::try_from(n).ok()));
    }

    fn refresh_cpu(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let spent = now.tv_sec as f64 + now.tv_nsec as f64 / 1e9;
        let cpu = self.cpu.lock();
        cpu.inc_by((spent - cpu.get()).max(0.0));
    }
}

fn set(gauge: &IntGauge, value: Option<i64>) {
    if let Some(value) = value {
        gauge.set(value);
    }
}

fn field(status: &str, key: &str) -> Option<i64> {
    status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

fn cpu(to: &mut Registrar<'_>) -> Result<Counter, MetricsError> {
    let (name, help) = ("process_cpu_seconds_total", "Processor time, user and system.");
    let counter = Counter::new(name, help).map_err(MetricsError::Register)?;
    to.add(Box::new(counter.clone()), Definition { name, kind: "counter", labels: vec![], help })?;
    Ok(counter)
}

fn gauge(to: &mut Registrar<'_>, name: &'static str, help: &'static str) -> Result<IntGauge, MetricsError> {
    let gauge = IntGauge::new(name, help).map_err(MetricsError::Register)?;
    to.add(Box::new(gauge.clone()), Definition { name, kind: "gauge", labels: vec![], help })?;
    Ok(gauge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_of_proc() {
        let status = "Name:\tx\nVmSize:\t  200 kB\nVmRSS:\t    1234 kB\nThreads:\t7\n";
        assert_eq!(field(status, "VmRSS:"), Some(1234));
        assert_eq!(field(status, "Threads:"), Some(7));
        assert_eq!(field(status, "Nope:"), None);
    }

    #[test]
    fn a_running_process_has_values() {
        let registry = prometheus::Registry::new();
        let mut registrar = Registrar { registry: &registry, definitions: vec![], forgetters: vec![] };
        let process = ProcessMetrics::register(&mut registrar).unwrap();
        process.refresh();
        assert!(process.resident.get() > 1 << 20);
        assert!(process.open_fds.get() >= 3);
        assert!(process.threads.get() >= 1);
        assert!(process.max_fds.get() >= process.open_fds.get());
        let before = process.cpu.lock().get();
        process.refresh();
        assert!(before > 0.0 && process.cpu.lock().get() >= before);
    }
}
