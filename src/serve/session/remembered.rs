//! What is remembered of a create or resume, to open the session once more elsewhere.

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::calls::Call;
use crate::wire::{RequestId, reply, scan::Place};

/// The params of a client's create or resume. They hold API keys, so they stay in memory and are wiped when they go.
pub struct Remembered {
    params: Zeroizing<String>,
}

#[derive(serde::Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    params: &'a RawValue,
}

#[derive(serde::Deserialize)]
struct OpenParams<'a> {
    #[serde(borrow, default)]
    options: Option<&'a RawValue>,
}

impl Remembered {
    /// Those of `call`, which makes or resumes `session`.
    pub fn of(call: &Call<'_>, session: &str) -> Self {
        let read = serde_json::from_slice::<Envelope<'_>>(call.body()).ok();
        let Some(params) = read.map(|envelope| envelope.params.get()) else { return Self::bare(session) };
        if call.row.name != "sessions.open" {
            return Self { params: Zeroizing::new(params.to_owned()) };
        }
        // `sessions.open` keeps the same settings one level deeper.
        let options = serde_json::from_str::<OpenParams<'_>>(params).ok().and_then(|open| open.options);
        let named = !call.scan.text(call.body(), Place::OptionsSessionId).unwrap_or_default().is_empty();
        match options.map(RawValue::get).and_then(|text| Some((text, text.strip_prefix('{')?))) {
            Some((text, _)) if named => Self { params: Zeroizing::new(text.to_owned()) },
            Some((_, rest)) => {
                let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
                Self { params: Zeroizing::new(format!(r#"{{"sessionId":"{session}"{comma}{rest}"#)) }
            }
            None => Self::bare(session),
        }
    }

    /// The params without what a second connection of one session may not have.
    pub fn without_tools(&self) -> Zeroizing<String> {
        super::returning::quiet_params(&self.params).unwrap_or_else(|| self.params.clone())
    }

    /// For a session of which nothing but its id is known (a fork).
    pub fn bare(session: &str) -> Self {
        Self { params: Zeroizing::new(format!(r#"{{"sessionId":"{session}"}}"#)) }
    }

    /// The request that resumes the session.
    pub fn resume(&self, id: &RequestId) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(reply::request(id, "session.resume", &self.params))
    }

    /// The same without a trace in the session's history or a word to other clients (measured on 1.0.102: no `session.resume`
    /// event and no `session.lifecycle`).
    pub fn resume_unseen(&self, id: &RequestId) -> Zeroizing<Vec<u8>> {
        let rest = self.params.trim_start().strip_prefix('{').filter(|rest| !rest.contains("\"disableResume\""));
        let Some(rest) = rest else { return self.resume(id) };
        let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
        let params = Zeroizing::new(format!(r#"{{"disableResume":true{comma}{rest}"#));
        Zeroizing::new(reply::request(id, "session.resume", &params))
    }

    /// The request that makes it again: right only for one that no disk has.
    pub fn create(&self, id: &RequestId) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(reply::request(id, "session.create", &self.params))
    }
}

impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remembered(***)")
    }
}
