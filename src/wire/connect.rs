//! `connect` as the proxy ends it: the client's token is taken out, the backend's goes in, the rest stays.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::id::RequestId;
use crate::model::Secret;

/// The params of a client's `connect`, without its token.
#[derive(Clone, Debug, Default)]
pub struct ConnectParams {
    rest: BTreeMap<String, Box<RawValue>>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

impl ConnectParams {
    /// Takes a scanned `connect` apart: the params that travel on, and the token if one was given.
    /// `None` where the body is not what the scanner accepted.
    pub fn read(body: &[u8]) -> Option<(Self, Option<Secret>)> {
        let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
        let mut rest: BTreeMap<String, Box<RawValue>> = match envelope.params {
            Some(params) => serde_json::from_str(params.get()).ok()?,
            None => BTreeMap::new(),
        };
        let token = rest.remove("token").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        Some((Self { rest }, token.map(Secret::new)))
    }

    /// The body of a `connect` request with these params and a backend's token.
    pub fn body(&self, id: &RequestId, token: Option<&Secret>) -> Vec<u8> {
        let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
        id.append_json(&mut out);
        out.extend_from_slice(br#","method":"connect","params":{"#);
        let token = token.map(|token| ("token", serde_json::Value::from(token.expose()).to_string()));
        let rest = self.rest.iter().map(|(key, raw)| (key.as_str(), raw.get().to_owned()));
        for (index, (key, value)) in token.into_iter().chain(rest).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            out.extend_from_slice(format!("{comma}{}:{value}", serde_json::Value::from(key)).as_bytes());
        }
        out.extend_from_slice(b"}}");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_s_token_never_travels_on() {
        let body = br#"{"jsonrpc":"2.0","id":0,"method":"connect","params":{"token":"client","supportedTaskKinds":["agent"]}}"#;
        let (params, token) = ConnectParams::read(body).unwrap();
        assert_eq!(token.unwrap().expose(), "client");
        let sent = params.body(&RequestId::Number(0), Some(&Secret::new("back\"end")));
        let value: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(value["params"]["token"], "back\"end");
        assert_eq!(value["params"]["supportedTaskKinds"][0], "agent");
        let bare = params.body(&RequestId::own(1), None);
        assert!(!String::from_utf8(bare).unwrap().contains("token"));
    }
}
