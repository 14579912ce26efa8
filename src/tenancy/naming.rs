//! Session ids that say whose they are, so that ownership needs no memory.

use thiserror::Error;

use crate::model::Identity;

/// The longest session id, and the longest id that we make.
pub const MAX_ID: usize = 128;
const MAX_NAME: usize = 64;
const MAX_DELIMITER: usize = 8;
const UUID: usize = 36;
/// The runtime takes this many characters of a UUID, or more, for the whole of it.
const SHORTEST_ABBREVIATION: usize = 7;

// Whatever a tenant's name, its ids have room for a user and a UUID.
const _: () = assert!(MAX_NAME + MAX_DELIMITER + 1 + MAX_DELIMITER + UUID <= MAX_ID);

/// How it is known from an id whose session it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamingRule {
    /// `None`: ids say nothing.
    prefix: Option<Prefix>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Prefix {
    delimiter: Box<str>,
    has_user: bool,
}

/// What an id says about its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// Nothing: whoever it was recorded for owns it.
    Free,
    /// It is this tenant's and nobody else's, whether there is such a tenant or not.
    Named {
        /// The part before the first delimiter.
        tenant: &'a str,
        /// The part between the first two, where the template has a user and the id has such a part.
        user: Option<&'a str>,
    },
    /// It can be nobody's: it is no id, nothing stands before its delimiter, or the runtime might take it for the beginning
    /// of another's.
    Nobody,
}

/// Why a template or a name cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NamingError {
    /// Not one of the two forms.
    #[error("a template is `{{tenant}}--` or `{{tenant}}--{{user}}--`, where `--` may be any run of 1 to 8 `-` or `_`")]
    Template,
    /// Empty.
    #[error("a name has at least one character")]
    Empty,
    /// Longer than names may be.
    #[error("a name has at most 64 characters")]
    TooLong,
    /// The name and a UUID do not fit into an id.
    #[error("a session id with this name in it would be longer than 128 characters")]
    NoRoom,
    /// What ids may not hold either.
    #[error("only letters, digits, `_` and `-` may stand in a session id, and so in a name that it begins with")]
    IdCharacters,
    /// What names may not hold.
    #[error("only letters, digits, `.`, `_` and `-` may stand in a name")]
    NameCharacters,
    /// Ids of this name would be another's.
    #[error("the delimiter of the session ids stands in the name, so that another name could end there")]
    Delimiter,
    /// Name and delimiter would run into each other.
    #[error("the name begins or ends with the character of the delimiter, so that they could not be told apart")]
    Edge,
}

impl NamingRule {
    /// Ids begin as `template` says: `{tenant}--` or `{tenant}--{user}--`, where the delimiter is a run of one character.
    pub fn prefix(template: &str) -> Result<Self, NamingError> {
        let rest = template.strip_prefix("{tenant}").ok_or(NamingError::Template)?;
        let (delimiter, has_user) = match rest.split_once("{user}") {
            Some((before, after)) if before == after => (before, true),
            Some(_) => return Err(NamingError::Template),
            None => (rest, false),
        };
        let uniform = ["-", "_"].iter().any(|one| delimiter.starts_with(one) && delimiter.replace(one, "").is_empty());
        if !uniform || delimiter.len() > MAX_DELIMITER {
            return Err(NamingError::Template);
        }
        Ok(Self { prefix: Some(Prefix { delimiter: delimiter.into(), has_user }) })
    }

    /// Ids say nothing; only records count.
    pub fn registry() -> Self {
        Self { prefix: None }
    }

    /// Whether only records count.
    pub fn is_registry(&self) -> bool {
        self.prefix.is_none()
    }

    /// Whether users of one tenant can be told apart: by their ids, or by the records.
    pub fn tells_users(&self) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| prefix.has_user)
    }

    /// Whether a tenant may have this name: whether no id of it can be taken for another's.
    pub fn check_tenant_name(&self, name: &str) -> Result<(), NamingError> {
        let Some(prefix) = &self.prefix else { return check_plain(name) };
        prefix.check(name)
    }

    /// Whether a user of `tenant` may have this name where users are apart. The name may come from a token.
    pub fn check_user_name(&self, tenant: &str, user: &str) -> Result<(), NamingError> {
        let Some(prefix) = self.prefix.as_ref().filter(|prefix| prefix.has_user) else {
            // It stands in no id: any text that can be told from another will do.
            return if user.is_empty() { Err(NamingError::Empty) } else { Ok(()) };
        };
        prefix.check(user)?;
        let length = tenant.len() + user.len() + 2 * prefix.delimiter.len() + UUID;
        if length <= MAX_ID { Ok(()) } else { Err(NamingError::NoRoom) }
    }

    /// Whose session `id` is, as far as the id says it.
    #[inline]
    pub fn says<'a>(&self, id: &'a str) -> Said<'a> {
        if !is_id(id) {
            return Said::Nobody;
        }
        let Some(prefix) = &self.prefix else { return free(id) };
        let Some((tenant, rest)) = id.split_once(&*prefix.delimiter) else { return free(id) };
        if tenant.is_empty() || may_abbreviate_named(id) {
            return Said::Nobody;
        }
        let user = if prefix.has_user { rest.split_once(&*prefix.delimiter) } else { None };
        Said::Named { tenant, user: user.map(|(user, _)| user).filter(|user| !user.is_empty()) }
    }

    /// Whether an id that begins so can say that it is the tenant's, or say nothing.
    pub fn may_become(&self, beginning: &str, tenant: &str) -> bool {
        if beginning.len() > MAX_ID || !beginning.bytes().all(is_id_byte) {
            return false;
        }
        let Some(prefix) = &self.prefix else { return true };
        beginning.split_once(&*prefix.delimiter).is_none_or(|(named, _)| named == tenant)
    }

    /// The id of a new session of `who`. A user whose name cannot stand in an id is left out, which only tenants whose users
    /// are together can have.
    pub fn new_id(&self, who: &Identity, uuid: &str) -> String {
        let Some(prefix) = &self.prefix else { return uuid.to_owned() };
        let (tenant, delimiter) = (&who.tenant, &prefix.delimiter);
        match &who.user {
            Some(user) if prefix.has_user && self.check_user_name(tenant, user).is_ok() => {
                format!("{tenant}{delimiter}{user}{delimiter}{uuid}")
            }
            _ => format!("{tenant}{delimiter}{uuid}"),
        }
    }
}

impl Prefix {
    fn check(&self, name: &str) -> Result<(), NamingError> {
        check_length(name)?;
        if !name.bytes().all(is_id_byte) {
            return Err(NamingError::IdCharacters);
        }
        if name.contains(&*self.delimiter) {
            return Err(NamingError::Delimiter);
        }
        let run = &self.delimiter[..1];
        if name.starts_with(run) || name.ends_with(run) { Err(NamingError::Edge) } else { Ok(()) }
    }
}

fn check_plain(name: &str) -> Result<(), NamingError> {
    check_length(name)?;
    let fits = name.bytes().all(|byte| is_id_byte(byte) || byte == b'.');
    if fits { Ok(()) } else { Err(NamingError::NameCharacters) }
}

fn check_length(name: &str) -> Result<(), NamingError> {
    match name.len() {
        0 => Err(NamingError::Empty),
        1..=MAX_NAME => Ok(()),
        _ => Err(NamingError::TooLong),
    }
}

/// Whether the runtime would take it for an id. Whoever asks has looked already; a slip there must not become a path here.
fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(is_id_byte)
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[inline]
fn free(id: &str) -> Said<'_> {
    if may_abbreviate(id) { Said::Nobody } else { Said::Free }
}

/// Whether the runtime may take `id` for the beginning of a session's UUID, as its `session.resume` and `session.delete` do,
/// without regard to case. A whole UUID in small letters is always meant exactly.
fn may_abbreviate(id: &str) -> bool {
    let all = id.as_bytes();
    (SHORTEST_ABBREVIATION..=UUID).contains(&all.len())
        && all.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
        && !(all.len() == UUID && is_uuid_shaped(all) && !all.iter().any(u8::is_ascii_uppercase))
}

/// The same for an id with a delimiter, which no UUID begins with unless the delimiter is a single `-`.
fn may_abbreviate_named(id: &str) -> bool {
    is_uuid_shaped(id.as_bytes()) && may_abbreviate(id)
}

/// Whether the dashes stand where a UUID has them.
fn is_uuid_shaped(all: &[u8]) -> bool {
    all.iter().enumerate().all(|(at, byte)| matches!(at, 8 | 13 | 18 | 23) == (*byte == b'-'))
}

#[cfg(test)]
pub(super) mod tests;
