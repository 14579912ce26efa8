//! Writing: what was gathered in a round goes out, once to each socket; what a socket did not take is tried again.

use std::{io, pin::Pin, task::Context};

use tokio::io::AsyncWrite;

use super::{
    client::Client,
    link::State,
    outbox::Outbox,
    workspace::{CLIENT, Workspace},
};
use crate::telemetry::{ClientEnd, LinkEnd, Way};

impl Client {
    /// Writes what was gathered to every destination, as far as the sockets take it.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>, workspace: &mut Workspace) -> Result<(), ClientEnd> {
        let Workspace { read, out, .. } = &mut *workspace;
        let mut index = 0;
        let mut result = Ok(());
        let mut lost = Vec::new();
        while let Some(dest) = out.dest(index) {
            index += 1;
            let parts = out.parts(dest, read);
            let bytes: usize = parts.clone().map(<[u8]>::len).sum();
            if dest == CLIENT {
                self.meter.bytes_out += bytes as u64;
                if self.is_deaf() {
                    continue;
                }
                if let Err(error) = self.outbox.write(&mut self.socket, cx, parts) {
                    result = Err(reset_or_failed(&error));
                }
            } else if let Some(Some(link)) = self.links.get_mut(dest as usize)
                && let Some(socket) = &mut link.socket
            {
                link.metrics.bytes.get(Way::Out).inc_by(bytes as u64);
                if link.outbox.write(socket, cx, parts).is_err() {
                    lost.push(dest);
                }
            }
        }
        workspace.clear();
        for id in lost {
            self.lose_link(id, LinkEnd::Reset, &mut workspace.out);
        }
        if workspace.out.is_empty() { result } else { self.flush(cx, workspace).and(result) }
    }

    /// Nothing can be written to the client any more.
    fn is_deaf(&self) -> bool {
        self.orphan.is_some_and(|orphan| orphan.deaf)
    }

    /// Tries again to write what sockets did not take; that also asks to be woken when they do.
    pub(super) fn write_waiting(&mut self, cx: &mut Context<'_>) -> Result<(), ClientEnd> {
        if self.is_deaf() {
            self.outbox = Outbox::default();
        }
        if !self.outbox.is_empty() {
            let written = self.outbox.write(&mut self.socket, cx, std::iter::empty());
            written.map_err(|error| reset_or_failed(&error))?;
        }
        for link in self.links.iter_mut().flatten() {
            let Some(socket) = &mut link.socket else { continue };
            if !link.outbox.is_empty() {
                // Its read side will tell that it is gone.
                let _ = link.outbox.write(socket, cx, std::iter::empty());
            }
            if self.client_eof.is_some()
                && self.orphan.is_none()
                && link.outbox.is_empty()
                && matches!(link.state, State::Ready)
                && !link.half_closed
            {
                link.half_closed = Pin::new(socket).poll_shutdown(cx).is_ready();
            }
        }
        Ok(())
    }
}

/// Why a client whose socket fails is gone.
pub(super) fn reset_or_failed(error: &io::Error) -> ClientEnd {
    match error.kind() {
        // TLS that ends without its last word is a reset, too.
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::UnexpectedEof => ClientEnd::Reset,
        io::ErrorKind::TimedOut => ClientEnd::Timeout,
        _ => ClientEnd::Internal,
    }
}
