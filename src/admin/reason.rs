//! What changes something needs a reason.
//!
//! A page in an operator's browser can send simple requests to a loopback address. What changes something therefore needs a
//! header of its own, which a foreign page may not send without asking first, and nobody here says yes to that.

use axum::{
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::routes::refusal;

/// Says why, in the operator's words; it stands in the record.
const REASON: &str = "x-pilotfish-reason";

/// A reason is a sentence.
const LONGEST_REASON: usize = 200;

/// A request without a reason.
pub(super) struct NoReason;

impl From<NoReason> for Response {
    fn from(_: NoReason) -> Self {
        refusal(StatusCode::FORBIDDEN, "say why in a header X-Pilotfish-Reason of at most 200 characters")
    }
}

/// The reason of a request.
pub(super) fn reason(headers: &HeaderMap) -> Result<String, NoReason> {
    let reason = headers.get(REASON).and_then(|text| text.to_str().ok()).filter(|text| !text.trim().is_empty());
    reason.filter(|text| text.len() <= LONGEST_REASON).map(str::to_owned).ok_or(NoReason)
}
