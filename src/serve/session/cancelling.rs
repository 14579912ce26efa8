//! Requests of backends that are taken back.

use serde::Deserialize;

use super::{client::Client, workspace::Output};
use crate::mux::LinkId;

impl Client {
    /// A backend takes a request of its own back.
    pub(super) fn backend_cancel(&mut self, link: LinkId, body: &[u8], out: &mut Output) -> bool {
        #[derive(Deserialize)]
        struct Cancel<'a> {
            #[serde(borrow)]
            params: CancelParams<'a>,
        }
        #[derive(Deserialize)]
        struct CancelParams<'a> {
            #[serde(borrow)]
            id: &'a serde_json::value::RawValue,
        }
        let token = serde_json::from_slice::<Cancel<'_>>(body).ok().map(|cancel| cancel.params.id.get().as_bytes());
        if let Some(number) = token.and_then(|token| self.asks.number_of(link, token)) {
            self.tell_cancel(number, out);
        }
        false
    }

    /// Tells the client that nobody waits for its answer to our number `number` any more.
    pub(super) fn tell_cancel(&mut self, number: i64, out: &mut Output) {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"$/cancelRequest","params":{{"id":{number}}}}}"#);
        self.tell(body.as_bytes(), out);
    }
}
