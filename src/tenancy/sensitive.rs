//! Calls that an operator wants to find in the record although they were allowed.

use std::sync::LazyLock;

use crate::wire::{MethodIndex, Methods};

/// Session-scoped calls that widen what a session may do, bring credentials or destroy something.
const SENSITIVE: &[&str] = &[
    "session.delete",
    "sessions.bulkDelete",
    "session.gitHubAuth.setCredentials",
    "session.provider.add",
    "session.options.update",
    "session.permissions.configure",
    "session.permissions.setApproveAll",
    "session.permissions.setMode",
    "session.permissions.modifyRules",
    "session.commands.invoke",
    "session.commands.execute",
    "session.commands.enqueue",
    "session.mcp.oauth.login",
    "session.mcp.oauth.respond",
    "session.mcp.oauth.handlePendingRequest",
    "session.mcp.headers.handlePendingHeadersRefreshRequest",
];

static TABLE: LazyLock<Vec<bool>> = LazyLock::new(|| {
    let table = Methods::get();
    let sensitive = |(row, name): (usize, &str)| {
        // What the table denies was allowed by an override; so was what the table does not know.
        row == 0 || table.row(MethodIndex(row as u16)).shared == "deny" || SENSITIVE.contains(&name)
    };
    table.names().into_iter().enumerate().map(sensitive).collect()
});

/// Whether an allowed call of this method is written to the record.
#[inline]
pub fn is_sensitive(method: MethodIndex) -> bool {
    TABLE[usize::from(method.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down() {
        let table = Methods::get();
        for name in SENSITIVE {
            assert_ne!(table.find(name), Methods::UNKNOWN, "{name}");
        }
        assert!(is_sensitive(table.find("session.shell.exec")) && is_sensitive(Methods::UNKNOWN));
        assert!(!is_sensitive(table.find("session.send")) && !is_sensitive(table.find("ping")));
    }
}
