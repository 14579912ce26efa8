//! A small epoll: the generator must cost less than what it measures, and a runtime's task a message does not.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
};

/// Readiness, level-triggered.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

/// What a key is ready for.
#[derive(Clone, Copy)]
pub struct Ready {
    pub key: u64,
    pub read: bool,
}

impl Poll {
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, events: Vec::with_capacity(256) })
    }

    pub fn add(&self, socket: impl AsFd, key: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key), EventFlags::IN)?)
    }

    /// Whether `key` also waits for room to write.
    pub fn want_write(&self, socket: impl AsFd, key: u64, write: bool) -> io::Result<()> {
        let flags = if write { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(key), flags)?)
    }

    /// Waits at most `patience`, then puts what is ready into `ready`.
    pub fn wait(&mut self, patience: Duration, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.events.clear();
        let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.clear();
        ready.extend(self.events.iter().map(|event| {
            let flags = event.flags;
            let broken = flags.intersects(EventFlags::HUP | EventFlags::ERR);
            Ready { key: event.data.u64(), read: broken || flags.contains(EventFlags::IN) }
        }));
        Ok(())
    }
}
