//! Who a client is.

use std::{fmt, sync::Arc};

/// A tenant, and the user of it where the login says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The tenant's name, as the config has it.
    pub tenant: Arc<str>,
    /// The user; `None` where the login names none.
    pub user: Option<Arc<str>>,
}

impl Identity {
    /// The tenant itself, no user named.
    pub fn of(tenant: &str) -> Self {
        Self { tenant: tenant.into(), user: None }
    }
}

/// `tenant` or `tenant/user`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => write!(f, "{}/{user}", self.tenant),
            None => f.write_str(&self.tenant),
        }
    }
}
