//! What a test may ask of the fake: acts in place of an answer, steps of a turn.

use std::time::Duration;

use super::{gate::Gate, outbox::Close};

/// What happens instead of the usual answer to a method.
#[derive(Clone, Debug)]
pub enum Act {
    /// The usual, later.
    Delay(Duration),
    /// The usual, once the gate lets it through.
    Hold(Gate),
    /// The usual for this many requests at once, in the reverse order of their coming.
    Reverse(usize),
    /// An error answer.
    Fail { code: i64, message: String },
    /// This result (JSON text).
    Answer(String),
    /// No answer, ever.
    Ignore,
    /// These bytes instead of an answer, whatever they are.
    Raw(Vec<u8>),
    /// The connection ends instead of an answer.
    End(Close),
    /// The process ends instead of an answer.
    Die(Close),
}

/// One step of a turn, between `assistant.turn_start` and `assistant.message`.
#[derive(Clone, Debug)]
pub enum Step {
    /// An `assistant.message_delta` with this text.
    Delta(String),
    /// Nothing for this long.
    Pause(Duration),
    /// Nothing until the gate lets the turn through.
    Wait(Gate),
    /// A request to the client (`params` is JSON text without the braces; the session id is put first) and its answer.
    Ask { method: String, params: String },
    /// A client tool is asked for and its answer awaited; it becomes part of the turn's text.
    Tool(String),
    /// The same for a permission to run this command.
    Permission(String),
    /// From here on events reach no socket (or do so again); they go on being kept.
    Mute(bool),
    /// The process ends here.
    Die(Close),
    /// Any event; `data` is JSON text.
    Event { kind: String, data: String, ephemeral: bool },
}

/// A method's act and how many requests it still covers.
#[derive(Debug)]
pub(super) struct Rule {
    pub method: String,
    pub act: Act,
    pub left: usize,
}

/// The steps of a turn that nobody scripted.
pub(super) fn usual_turn() -> Vec<Step> {
    ["Hello", " world", "!"].map(|text| Step::Delta(text.into())).to_vec()
}
