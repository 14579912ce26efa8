//! What several proxies share: pins, owners and turn locks as leases. One proxy needs none of it: its pins are in
//! [`crate::session`], in memory. The trait with its `memory` and `redis` stores comes with issue 5.
