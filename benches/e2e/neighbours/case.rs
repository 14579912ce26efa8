//! The cases.

/// Wrong tokens that a run sends at least.
pub const TOKENS: u64 = 10_000;

/// A load and what it is called in the table.
pub struct Case {
    pub name: &'static str,
    /// What is sent, counted in this.
    pub unit: &'static str,
    pub kind: Kind,
}

/// Who bothers whom.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A tenant floods, another one makes calls.
    Flood(Flood),
    /// A stranger tries tokens, so many in one write; a client of another address logs in.
    Guess(u64),
}

/// Connections of the flooding tenant that send as much as they can, and those that come and go.
#[derive(Clone, Copy)]
pub struct Flood {
    pub frames: usize,
    pub creates: usize,
    pub bytes: usize,
    pub churn: usize,
}

const NONE: Flood = Flood { frames: 0, creates: 0, bytes: 0, churn: 0 };

pub const CASES: &[Case] = &[
    Case { name: "wrong tokens from one address, one a write", unit: "tokens/s", kind: Kind::Guess(1) },
    Case { name: "wrong tokens from one address, three a write", unit: "tokens/s", kind: Kind::Guess(3) },
    Case {
        name: "flood of creates, 8 connections",
        unit: "creates/s",
        kind: Kind::Flood(Flood { creates: 8, ..NONE }),
    },
    Case { name: "flood of frames, 8 connections", unit: "frames/s", kind: Kind::Flood(Flood { frames: 8, ..NONE }) },
    Case { name: "flood of 1 MiB frames, 8 connections", unit: "MB/s", kind: Kind::Flood(Flood { bytes: 8, ..NONE }) },
    Case { name: "flood of connections", unit: "connections/s", kind: Kind::Flood(Flood { churn: 128, ..NONE }) },
    Case {
        name: "all four at once",
        unit: "MB/s",
        kind: Kind::Flood(Flood { frames: 4, creates: 4, bytes: 4, churn: 64 }),
    },
];
