//! The error codes that clients see, and whose fault each is.

/// JSON-RPC's own codes and the runtime's and ours (DESIGN section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// `error.code`.
    pub number: i32,
    /// `error.data.reason`, also the label `reason` of metrics: a closed set.
    pub reason: Reason,
    /// `error.data.retryable`: whether sending the same again may succeed.
    pub retryable: bool,
}

macro_rules! reasons {
    ($($variant:ident = $text:literal, $number:literal, $retryable:literal;)*) => {
        /// Why we answered an error ourselves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $(#[doc = concat!("`", $text, "`")] $variant,)* }

        impl Reason {
            /// Every reason, for the labels of metrics.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The word on the wire and in metrics.
            pub const fn text(self) -> &'static str {
                match self { $(Reason::$variant => $text,)* }
            }

            /// The code that goes with it.
            pub const fn code(self) -> Code {
                match self { $(Reason::$variant => Code { number: $number, reason: self, retryable: $retryable },)* }
            }
        }
    };
}

reasons! {
    ParseError = "parse_error", -32700, false;
    InvalidFrame = "invalid_frame", -32700, false;
    InvalidRequest = "invalid_request", -32600, false;
    DuplicateId = "duplicate_id", -32600, false;
    MethodNotFound = "denied_by_policy", -32601, false;
    ParamDenied = "param_denied", -32602, false;
    InvalidParams = "invalid_params", -32602, false;
    AuthenticationRequired = "authentication_required", -32001, false;
    AuthenticationFailed = "authentication_failed", -32002, false;
    NoBackend = "no_backend", -32010, true;
    BackendLost = "backend_lost", -32011, true;
    SessionLost = "session_lost", -32012, true;
    SessionLocked = "session_locked", -32013, true;
    Capacity = "capacity", -32014, true;
    RateLimited = "rate_limited", -32015, true;
    StoreUnavailable = "store_unavailable", -32016, true;
    Draining = "draining", -32017, true;
    Timeout = "timeout", -32018, true;
    Cancelled = "cancelled", -32800, false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_word() {
        let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.text()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
    }

    #[test]
    fn codes_are_those_of_the_design() {
        assert_eq!(Reason::NoBackend.code().number, -32010);
        assert_eq!(Reason::Timeout.code().number, -32018);
        assert!(Reason::BackendLost.code().retryable);
    }
}
