//! Finding the backends of a pool while it runs. Nothing here changes a pool: sources say what they see, and the roster says
//! what follows from it.
//!
//! # Layout
//! | file | idea |
//! | --- | --- |
//! | `answer` | what a source says |
//! | `roster` | what follows from it: who joins, changes, leaves; pure |
//! | `names` | what backends are called that DNS finds; pure |
//! | `dns` | a source: a name in DNS |
//! | `servers` | how name servers are asked |
//! | `file` | a source: a file that may change |

mod answer;
mod dns;
mod file;
pub mod names;
mod roster;
mod servers;

pub use answer::{Answer, Fault, Found, Said};
pub use dns::{Dns, DnsSettings, Records};
pub use file::{ListFile, Parse};
pub use roster::{Change, Entry, Roster, RosterSettings};

/// Where the backends of a pool are found.
#[derive(Debug)]
pub enum Source {
    /// A name in DNS.
    Dns(Box<Dns>),
    /// A file.
    File(ListFile),
}

impl Source {
    /// Asks once.
    pub async fn ask(&mut self) -> Answer {
        match self {
            Self::Dns(dns) => dns.ask().await,
            Self::File(file) => file.ask().await,
        }
    }
}
