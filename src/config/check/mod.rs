//! What a single value cannot show: names, addresses and settings beside each other.

mod addresses;
mod cleanups;
mod discoveries;
mod isolation;
mod jwts;
mod listeners;
mod logins;
mod naming;
mod overrides;
mod pools;
mod recycles;
mod shares;
mod store;
mod supervised;
mod tenants;
mod tls;
mod tokens;
mod urls;
mod walls;

use super::{
    kind::quote,
    problem::nearest,
    reader::{Reader, join},
    schema::{File, Listener, Pool, Posture, Tenant, admitted},
};

pub(super) use pools::backends as check_backends;

/// Checks the whole file. Values that were refused by themselves are left alone.
pub(super) fn check(file: &File, reader: &mut Reader<'_>) {
    listeners::check(file, reader);
    addresses::check(file, reader);
    pools::check(file, reader);
    discoveries::check(file, reader);
    supervised::check(file, reader);
    isolation::check(file, reader);
    recycles::check(file, reader);
    cleanups::check(file, reader);
    jwts::check(file, reader);
    store::check(file, reader);
    tls::check(file, reader);
    // Whether there are tenants decides what every pool is.
    if reader.is_sound("tenant") {
        tenants::check(file, reader);
        tokens::check(file, reader);
        tls::certificates(file, reader);
        shares::check(file, reader);
        walls::check(file, reader);
        naming::check(file, reader);
        logins::check(file, reader);
    }
    overrides::check(file, reader);
    urls::check(file, reader);
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

fn tenant_path(index: usize) -> String {
    format!("tenant[{index}]")
}

/// The tenants of `file` with their paths; those whose table was refused are left out.
fn tenants<'a>(file: &'a File, reader: &Reader<'_>) -> Vec<(String, &'a Tenant)> {
    let all = file.tenants.iter().enumerate().map(|(index, tenant)| (tenant_path(index), tenant));
    all.filter(|(path, _)| reader.is_sound(path)).collect()
}

/// Who uses `pool`, if that can be known.
fn posture(file: &File, reader: &Reader<'_>, name: &str, pool: &Pool) -> Option<Posture> {
    let known = reader.is_sound(&format!("{}.posture", pool_path(name)));
    known.then(|| pool.posture(!file.tenants.is_empty()))
}

/// The tenants that get into the pool `name`, with their paths.
fn admitted_with_paths<'a>(file: &'a File, reader: &Reader<'_>, name: &str, pool: &Pool) -> Vec<(String, &'a Tenant)> {
    let admitted = admitted(&file.tenants, name, pool);
    let gets_in = |tenant: &Tenant| admitted.iter().any(|other| std::ptr::eq(*other, tenant));
    tenants(file, reader).into_iter().filter(|(_, tenant)| gets_in(tenant)).collect()
}

/// "did you mean", or "add it".
fn hint_for_tenant(file: &File, name: &str) -> String {
    let near = nearest(name, file.tenants.iter().map(|tenant| tenant.name.as_str()));
    near.map_or_else(|| format!("add [[tenant]] with name = \"{name}\""), |near| format!("did you mean `{near}`?"))
}

/// Refuses the name of a tenant that the file does not have. Whether it has it.
fn known_tenant(file: &File, reader: &mut Reader<'_>, key: &str, name: &str) -> bool {
    let unsure = tenants(file, reader).iter().any(|(path, _)| !reader.is_sound(&format!("{path}.name")));
    if file.tenants.iter().any(|tenant| tenant.name == name) || unsure || !reader.is_sound(key) {
        return true;
    }
    let hint = hint_for_tenant(file, name);
    reader.error(key, format!("{}, which is no tenant", quote(name)), "the name of a [[tenant]]", Some(hint));
    false
}
