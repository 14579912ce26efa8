//! The end of a client's connection, in steps: what is gathered is written, our side is closed, the client's end is heard.

use std::{
    pin::Pin,
    task::Context,
    time::{Duration, Instant},
};

use tokio::io::AsyncWrite;

use super::{client::Client, workspace::Workspace};
use crate::telemetry::ClientEnd;

/// After this long a client that was told goodbye is dropped even if it does not close its side.
const GOODBYE: Duration = Duration::from_secs(1);

/// Between the last byte and the end of our side: the Node SDK (1.0.14) drops what it has read but not handed on to the
/// application when it sees the end.
pub(super) const QUIET: Duration = Duration::from_millis(250);

/// How a client's connection ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    /// Why.
    pub why: ClientEnd,
    /// When that was decided.
    pub since: Instant,
    /// When the last byte for the client was written.
    pub written: Option<Instant>,
    /// Our side is closed; what the client still sends is read and thrown away, so that no reset overtakes our last bytes.
    pub said_goodbye: bool,
}

impl Client {
    /// Whether the connection has come to its end, and the steps there.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>, workspace: &mut Workspace) -> Option<ClientEnd> {
        if self.draining && self.closing.is_none() && self.is_idle() {
            self.close(ClientEnd::Drained, &mut workspace.out);
            let _ = self.flush(cx, workspace);
        }
        if self.client_eof.is_some() && self.links.iter().all(Option::is_none) && self.closing.is_none() {
            self.close(ClientEnd::Client, &mut workspace.out);
            let _ = self.flush(cx, workspace);
        }
        let closing = self.closing.as_mut()?;
        let late = self.now.saturating_duration_since(closing.since) > GOODBYE;
        // A large frame on its way ends first: the answers of the goodbye stand behind it.
        let written = self.outbox.is_empty() && self.flow_from.is_none();
        if written {
            closing.written.get_or_insert(self.now);
        }
        // Whoever closed its side itself is not waiting for anything.
        let heard = closing.written.is_some_and(|at| self.now.saturating_duration_since(at) >= QUIET);
        let heard = heard || closing.why == ClientEnd::Client;
        if !closing.said_goodbye && (heard || late) {
            closing.said_goodbye = Pin::new(&mut self.socket).poll_shutdown(cx).is_ready();
        }
        (closing.said_goodbye && (self.client_eof.is_some() || late)).then_some(closing.why)
    }
}
