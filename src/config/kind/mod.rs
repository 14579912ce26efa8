//! Kinds of values: what a key takes, how it is read, and how it is described.

mod address;
mod basic;
mod choice;
mod dns;
mod ephemeral;
mod identity;
mod key_file;
mod list;
mod log_filter;
mod method;
mod name;
mod nested;
mod network;
mod secret;
mod store_address;
mod template;
mod token;
mod units;
mod url;
mod words;

pub use {
    address::{Address, PortRange},
    identity::{HomeTemplate, IdRange},
    key_file::{KeyFile, read_key_file},
    secret::{WatchedSecret, read_secret_file},
    template::Template,
    token::{Token, TokenSource},
};
pub(super) use {
    address::{address, bind, listen, port_range},
    basic::{count, file_mode, number, path, switch, words},
    choice::{Choice, choice, one_of},
    dns::{dns_name, dns_server},
    ephemeral::ephemeral,
    identity::{env_names, home_template, id_range},
    key_file::{jwks_file, pem_file},
    list::list,
    log_filter::log_filter,
    method::method_pattern,
    name::{name, name_prefix},
    nested::{list_of, map_of, optional, table, table_or_none},
    network::{certificate_name, network},
    secret::{secret, variables, watched_secret},
    store_address::store_address,
    template::template,
    token::token,
    units::{duration, size},
    url::url_prefix,
    words::{grantee, host_folder, id_pattern, key_prefix, line, session_ids, slash_command},
};

use toml::de::DeValue;

use super::{
    reader::{Reader, Spot},
    section::Outline,
};

/// What a key takes. Implementors are small values that hold the limits.
pub(super) trait Kind {
    /// The typed value.
    type Value;

    /// What is right, as the end of the sentence "expected ...".
    fn expects(&self) -> String;
    /// Reads `value`, which stands at `spot`. `None`: refused, and reported.
    fn read(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>) -> Option<Self::Value>;
    /// The value in place of one that was refused or, for a key without a default, is not there.
    fn stand_in(&self) -> Self::Value;

    /// More lines for the sample, such as what each choice means.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
    /// Whether tables stand under the key.
    fn shape(&self) -> Shape {
        Shape::Value
    }
    /// Refuses `value` with `hint`.
    fn refuse<T>(&self, reader: &mut Reader<'_>, spot: &Spot, value: &DeValue<'_>, hint: Option<String>) -> Option<T> {
        reader.refuse(spot, describe(value), self.expects(), hint);
        None
    }
}

/// What stands under a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// No table.
    Value,
    /// One table.
    Table(fn() -> Outline),
    /// One table that may be left out, which means something else than an empty one.
    TableOrNone(fn() -> Outline),
    /// An array of tables.
    Tables(fn() -> Outline),
    /// Tables by a name that the operator chooses.
    NamedTables(fn() -> Outline),
}

/// Names what the file has, with its value where that is short.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => format!("integer {}", short(&number.to_string())),
        DeValue::Float(number) => format!("float {}", short(&number.to_string())),
        DeValue::Boolean(value) => format!("boolean {value}"),
        DeValue::Datetime(value) => format!("date {value}"),
        DeValue::Array(items) => format!("an array of {}", items.len()),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// `text` in quotes, cut when long, with control characters escaped so that a terminal is safe from it.
pub(super) fn quote(text: &str) -> String {
    format!("{:?}", short(text))
}

fn short(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
