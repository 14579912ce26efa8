//! Where a Redis listens.

use toml::de::DeValue;

use super::Kind;
use crate::{
    config::reader::{Reader, Spot},
    store::{Address, AddressError},
};

/// A host and a port, a `redis://` or `rediss://` URL, or a socket.
pub(in crate::config) fn store_address() -> StoreAddress {
    StoreAddress
}

pub(in crate::config) struct StoreAddress;

impl Kind for StoreAddress {
    type Value = Address;

    fn expects(&self) -> String {
        "\"HOST:PORT\", \"redis://HOST:PORT\", \"rediss://HOST:PORT\" (TLS) or \"unix:/PATH\"".to_owned()
    }

    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Address> {
        match value.as_str().map(str::parse) {
            Some(Ok(address)) => Some(address),
            // Not shown: a password stands in it.
            Some(Err(why @ AddressError::Credentials)) => {
                reader.refuse(spot, "a user (not shown)".to_owned(), self.expects(), Some(why.to_string()));
                None
            }
            Some(Err(why)) => self.refuse(reader, spot, value, Some(why.to_string())),
            None => self.refuse(reader, spot, value, None),
        }
    }

    fn stand_in(&self) -> Address {
        Address::tcp("", 1, false)
    }
}
