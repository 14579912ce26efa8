//! What a single value cannot show: names, addresses and settings beside each other.

mod addresses;
mod listeners;
mod pools;
mod supervised;

use super::{
    reader::{Reader, join},
    schema::{File, Listener},
};

/// Checks the whole file. Values that were refused by themselves are left alone.
pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    listeners::check(file, reader);
    addresses::check(file, reader);
    pools::check(file, reader);
    supervised::check(file, reader);
}

fn listener_path(index: usize) -> String {
    format!("listener[{index}]")
}

fn pool_path(name: &str) -> String {
    join("pool", name)
}

/// The listeners of `file` with their paths.
fn listeners(file: &File) -> impl Iterator<Item = (String, &Listener)> {
    file.listeners.iter().enumerate().map(|(index, listener)| (listener_path(index), listener))
}
