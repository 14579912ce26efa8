//! What a session told while its client was lost, for the client that comes back.

use std::collections::VecDeque;

/// Bytes that are kept of one session. Beyond that the pieces of answers go first: what they add up to comes again whole.
const MOST: usize = 4 << 20;

/// Events in their order, as frames' bodies.
#[derive(Debug)]
pub struct Backlog {
    keeper: u32,
    events: VecDeque<Box<[u8]>>,
    bytes: usize,
    taken: bool,
}

impl Backlog {
    /// Kept by client number `keeper`, which is lost itself.
    pub fn new(keeper: u32) -> Self {
        Self { keeper, events: VecDeque::new(), bytes: 0, taken: false }
    }

    /// Who keeps it.
    pub fn keeper(&self) -> u32 {
        self.keeper
    }

    /// Somebody came back for it.
    pub fn is_taken(&self) -> bool {
        self.taken
    }

    /// Adds an event.
    pub fn push(&mut self, body: &[u8]) {
        if self.taken {
            return;
        }
        self.bytes += body.len();
        self.events.push_back(body.into());
        if self.bytes > MOST {
            self.events.retain(|event| !is_delta(event));
            self.bytes = self.events.iter().map(|event| event.len()).sum();
        }
        while self.bytes > MOST {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    /// Whether an event with this text in it is there: its id.
    pub fn position(&self, id: &[u8]) -> Option<usize> {
        self.events.iter().position(|event| memchr::memmem::find(event, id).is_some())
    }

    /// Takes all of it out; what comes later is the taker's own.
    pub fn take(&mut self) -> Vec<Box<[u8]>> {
        self.taken = true;
        self.bytes = 0;
        self.events.drain(..).collect()
    }
}

fn is_delta(event: &[u8]) -> bool {
    let head = &event[..event.len().min(400)];
    memchr::memmem::find(head, b"_delta\",").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_go_before_what_they_add_up_to() {
        let mut backlog = Backlog::new(1);
        let piece = [br#"{"type":"assistant.message_delta","data":""#.as_slice(), &vec![b'x'; 3 << 20]].concat();
        backlog.push(b"{\"type\":\"first\"}");
        backlog.push(&piece);
        backlog.push(&piece);
        assert_eq!(backlog.position(b"first"), Some(0));
        assert_eq!(backlog.take().len(), 1);
        backlog.push(b"later");
        assert!(backlog.is_taken() && backlog.take().is_empty());
    }

    #[test]
    fn the_oldest_goes_at_last() {
        let mut backlog = Backlog::new(1);
        for number in 0..3 {
            backlog.push(&vec![b'0' + number; 3 << 20]);
        }
        assert_eq!(backlog.take().len(), 1);
    }
}
