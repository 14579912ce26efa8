//! The config of a quick start, as the TOML that `pilotfish run` would read from a file.

use toml::{Table, Value};

/// What differs from one quick start to the next.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) port: u16,
    pub(super) admin_port: u16,
    pub(super) backends: u32,
    /// Path of the CLI's binary.
    pub(super) program: String,
    /// The `COPILOT_HOME` that all CLIs share.
    pub(super) home: String,
    /// The folder that they run in.
    pub(super) work: String,
    /// Base URL of the demo model.
    pub(super) model: Option<String>,
}

impl Settings {
    /// The config's text.
    pub(super) fn to_toml(&self) -> String {
        let listener = table([
            ("name", text("sdk")),
            ("bind", loopback(self.port)),
            ("mode", text("session")),
            ("pool", text("copilot")),
        ]);
        let config = table([
            // What is printed is for somebody who starts: his program to paste must not drown in our log.
            ("log", table([("level", text("warn"))])),
            ("admin", table([("bind", loopback(self.admin_port))])),
            ("listener", Value::Array(vec![listener])),
            ("pool", table([("copilot", self.pool())])),
        ]);
        config.as_table().map(Table::to_string).unwrap_or_default()
    }

    fn pool(&self) -> Value {
        let command = ["--headless", "--port", "{port}", "--no-auto-update"];
        let command = std::iter::once(self.program.as_str()).chain(command).map(text).collect();
        let supervise = table([
            ("count", Value::Integer(i64::from(self.backends))),
            ("command", Value::Array(command)),
            ("home", text(&self.home)),
            ("working_directory", text(&self.work)),
            ("env", self.environment()),
        ]);
        // Fast checks: whoever starts waits for them, and a handful of CLIs on loopback costs nothing to ask.
        let health = table([("interval", text("1s")), ("rise", Value::Integer(1)), ("slow_start", text("0s"))]);
        table([
            ("policy", text("consistent-hash")),
            ("storage", text("shared")),
            ("supervise", supervise),
            ("health", health),
        ])
    }

    fn environment(&self) -> Value {
        match &self.model {
            None => table([]),
            Some(url) => table([
                ("COPILOT_OFFLINE", text("true")),
                ("COPILOT_PROVIDER_BASE_URL", text(url)),
                ("COPILOT_MODEL", text(crate::cli::demo_model::MODEL_NAME)),
            ]),
        }
    }
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn loopback(port: u16) -> Value {
    Value::String(format!("127.0.0.1:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            port: 4321,
            admin_port: 0,
            backends: 3,
            program: "/opt/a \"strange\" folder/copilot".to_owned(),
            home: "/data/home".to_owned(),
            work: "/data/work".to_owned(),
            model: None,
        }
    }

    #[test]
    fn says_what_was_asked_for() {
        let config: Table = settings().to_toml().parse().unwrap();
        assert_eq!(config["listener"][0]["bind"].as_str(), Some("127.0.0.1:4321"));
        assert_eq!(config["admin"]["bind"].as_str(), Some("127.0.0.1:0"));
        let supervise = &config["pool"]["copilot"]["supervise"];
        assert_eq!(supervise["count"].as_integer(), Some(3));
        assert_eq!(supervise["command"][0].as_str(), Some("/opt/a \"strange\" folder/copilot"));
        assert_eq!(supervise["env"].as_table().map(Table::len), Some(0));
    }

    #[test]
    fn points_the_clis_at_the_model() {
        let settings = Settings { model: Some("http://127.0.0.1:9/v1".to_owned()), ..settings() };
        let config: Table = settings.to_toml().parse().unwrap();
        let environment = &config["pool"]["copilot"]["supervise"]["env"];
        assert_eq!(environment["COPILOT_OFFLINE"].as_str(), Some("true"));
        assert_eq!(environment["COPILOT_PROVIDER_BASE_URL"].as_str(), Some("http://127.0.0.1:9/v1"));
    }
}
