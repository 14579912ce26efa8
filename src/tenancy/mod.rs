//! Who a client is, whose a session is, and what may be done: the wall between tenants, as rules without I/O.
//!
//! # Layout
//! - `login`: tokens, JWTs, and the patience with an address that shows wrong ones.
//! - `ids`: where ids stand in the params of each method.
//! - `naming`: ids that say whose they are; `owners`: ids that were recorded; `shares`: who else may attach.
//! - `policy`: which methods a tenant may call; `guard`: which params.
//! - `look`: how closely a call has to be looked at.
//! - `sensitive`: which calls are written down although they are allowed.
//! - `quota`: how much and how often.
//! - `wall`: all of it for one pool.

pub mod guard;
pub mod ids;
pub mod login;
mod look;
mod naming;
mod owners;
mod policy;
mod quota;
mod sensitive;
mod shares;
mod wall;

pub use guard::{Denied, GuardSettings, Guards};
pub use login::{
    Certificates, Certified, JwtAlgorithm, JwtError, JwtKeys, JwtRefusal, JwtSettings, JwtVerifier, Login,
    LoginRefusal, MAX_TOKEN_BYTES, Patience, TokenDigest, Tokens,
};
pub use look::{Look, ends};
pub use naming::{MAX_ID, NamingError, NamingRule, Said};
pub use owners::{Owner, OwnerRef, Owners, Recorded};
pub use policy::{MethodPolicy, Overrides, Posture};
pub use quota::{Held, Hold, Limits, Over, Quota};
pub use sensitive::is_sensitive;
pub use shares::{Grantee, NotAGrantee, Shares};
pub use wall::{Access, Creation, FreeIds, NotShared, ShareProblem, Tenant, TenantSettings, Wall, WallSettings};
