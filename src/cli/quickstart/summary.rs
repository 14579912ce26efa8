//! What is printed when all is up: where everything listens, and a program to paste.

use std::fmt;
use std::io::Write;

use super::Addresses;
use crate::cli::demo_model::MODEL_NAME;

/// The outcome of a quick start, as text.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) addresses: Addresses,
    pub(super) backends: u32,
    /// The shared `COPILOT_HOME`.
    pub(super) home: &'a str,
    /// Base URL of the demo model.
    pub(super) model: Option<&'a str>,
}

impl Summary<'_> {
    /// Prints it to standard output; a closed one is no reason to stop serving.
    pub(super) fn print(&self) {
        let mut output = std::io::stdout().lock();
        let _ = writeln!(output, "{self}").and_then(|()| output.flush());
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Addresses { sdk, admin } = self.addresses;
        writeln!(f, "pilotfish is ready: {} Copilot CLIs behind {sdk}", self.backends)?;
        writeln!(f, "  admin     http://{admin}/status  http://{admin}/metrics")?;
        writeln!(f, "  sessions  {}", self.home)?;
        writeln!(f, "  stop      Ctrl-C")?;
        if self.model.is_none() {
            writeln!(
                f,
                "  sign in   COPILOT_HOME={} copilot login  (or set COPILOT_GITHUB_TOKEN and start again)",
                self.home
            )?;
        }
        writeln!(f, "\nA first program (npm install @github/copilot-sdk; save as hello.mjs; node hello.mjs):\n")?;
        writeln!(f, "import {{ approveAll, CopilotClient, RuntimeConnection }} from \"@github/copilot-sdk\";\n")?;
        writeln!(f, "const client = new CopilotClient({{ connection: RuntimeConnection.forUri(\"{sdk}\") }});")?;
        writeln!(f, "const session = await client.createSession({{")?;
        if let Some(url) = self.model {
            // With the SDK a session takes its provider from its own config, not from the CLI's environment (1.0.102).
            writeln!(f, "    model: \"{MODEL_NAME}\",")?;
            writeln!(f, "    provider: {{ type: \"openai\", baseUrl: \"{url}\" }},")?;
        }
        writeln!(f, "    onPermissionRequest: approveAll,")?;
        writeln!(f, "}});")?;
        writeln!(f, "const answer = await session.sendAndWait({{ prompt: \"Hello, pilotfish!\" }});")?;
        writeln!(f, "console.log(answer?.data.content);")?;
        writeln!(f, "await client.stop();")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(model: Option<&str>) -> String {
        let addresses = Addresses { sdk: ([127, 0, 0, 1], 4321).into(), admin: ([127, 0, 0, 1], 4320).into() };
        Summary { addresses, backends: 3, home: "/data/home", model }.to_string()
    }

    #[test]
    fn names_the_addresses_and_the_model() {
        let text = printed(Some("http://127.0.0.1:9/v1"));
        assert!(text.contains("forUri(\"127.0.0.1:4321\")"), "{text}");
        assert!(text.contains("http://127.0.0.1:4320/status"), "{text}");
        assert!(text.contains("baseUrl: \"http://127.0.0.1:9/v1\""), "{text}");
        assert!(!text.contains("login"), "{text}");
    }

    #[test]
    fn without_a_model_tells_how_to_sign_in() {
        let text = printed(None);
        assert!(text.contains("COPILOT_HOME=/data/home copilot login"), "{text}");
        assert!(!text.contains("provider"), "{text}");
    }
}
