//! The keys that the scanner knows: the envelope's, and the params' places where a session id (or what stands for one)
//! can be, as the method table's `ids` name them.

/// A part of the body, by offsets. For a string: its inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
    /// Holds `\` escapes.
    pub escaped: bool,
}

impl Span {
    /// The bytes; `None` where the body given is shorter.
    pub fn of(self, body: &[u8]) -> Option<&[u8]> {
        body.get(self.start as usize..self.end as usize)
    }

    /// How many bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it holds nothing.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// What stands at a [`Place`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    #[default]
    Absent,
    /// A string: its inside.
    Text(Span),
    /// A number: the token.
    Number(Span),
    /// `true` or `false`.
    Bool(Span),
    /// `null`.
    Null(Span),
    /// An object, braces included. `end == start` while it is open.
    Object(Span),
    /// An array, brackets included. `end == start` while it is open.
    Array(Span),
}

macro_rules! places {
    ($($name:ident = $path:literal;)*) => {
        /// A place in the params that routing looks at.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Place { $(#[doc = concat!("`params.", $path, "`")] $name,)* }

        impl Place {
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();
            /// All, in the order of their numbers.
            pub const ALL: &'static [Place] = &[$(Place::$name,)*];

            /// The path below `params`.
            pub const fn path(self) -> &'static str {
                match self { $(Place::$name => $path,)* }
            }
        }
    };
}

places! {
    SessionId = "sessionId";
    Kind = "kind";
    Options = "options";
    OptionsSessionId = "options.sessionId";
    OptionsParent = "options.detachedFromSpawningParentSessionId";
    Metadata = "metadata";
    MetadataSessionId = "metadata.sessionId";
    MetadataRemoteIds = "metadata.remoteSessionIds";
    RemoteSessionId = "remoteSessionId";
    ToSessionId = "toSessionId";
    ExpectedFrom = "expectedFromSessionId";
    Expected = "expectedSessionId";
    InheritPlan = "inheritPlanBaseFromSessionId";
    Prefix = "prefix";
    TaskId = "taskId";
    SessionIds = "sessionIds";
    Sessions = "sessions";
    ExcludeSessionIds = "excludeSessionIds";
    SessionPath = "sessionPath";
    RequestId = "requestId";
    Id = "id";
    Cloud = "cloud";
}

/// What the key before a value means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Slot {
    #[default]
    Other,
    Jsonrpc,
    Id,
    Method,
    Params,
    Result,
    Error,
    Place(Place),
}

impl Slot {
    /// Its bit in the set of keys that were seen.
    pub(super) fn bit(self) -> u64 {
        match self {
            Self::Other => 0,
            Self::Jsonrpc => 1 << 63,
            Self::Id => 1 << 62,
            Self::Method => 1 << 61,
            Self::Params => 1 << 60,
            Self::Result => 1 << 59,
            Self::Error => 1 << 58,
            Self::Place(place) => 1 << place as u8,
        }
    }
}

pub(super) fn slot_of_envelope(key: &[u8]) -> Slot {
    match key {
        b"jsonrpc" => Slot::Jsonrpc,
        b"id" => Slot::Id,
        b"method" => Slot::Method,
        b"params" => Slot::Params,
        b"result" => Slot::Result,
        b"error" => Slot::Error,
        _ => Slot::Other,
    }
}

pub(super) fn slot_of_params(key: &[u8]) -> Slot {
    Slot::Place(match key {
        b"sessionId" => Place::SessionId,
        b"kind" => Place::Kind,
        b"options" => Place::Options,
        b"metadata" => Place::Metadata,
        b"remoteSessionId" => Place::RemoteSessionId,
        b"toSessionId" => Place::ToSessionId,
        b"expectedFromSessionId" => Place::ExpectedFrom,
        b"expectedSessionId" => Place::Expected,
        b"inheritPlanBaseFromSessionId" => Place::InheritPlan,
        b"prefix" => Place::Prefix,
        b"taskId" => Place::TaskId,
        b"sessionIds" => Place::SessionIds,
        b"sessions" => Place::Sessions,
        b"excludeSessionIds" => Place::ExcludeSessionIds,
        b"sessionPath" => Place::SessionPath,
        b"requestId" => Place::RequestId,
        b"id" => Place::Id,
        b"cloud" => Place::Cloud,
        _ => return Slot::Other,
    })
}

pub(super) fn slot_of_options(key: &[u8]) -> Slot {
    match key {
        b"sessionId" => Slot::Place(Place::OptionsSessionId),
        b"detachedFromSpawningParentSessionId" => Slot::Place(Place::OptionsParent),
        _ => Slot::Other,
    }
}

pub(super) fn slot_of_metadata(key: &[u8]) -> Slot {
    match key {
        b"sessionId" => Slot::Place(Place::MetadataSessionId),
        b"remoteSessionIds" => Slot::Place(Place::MetadataRemoteIds),
        _ => Slot::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_found_under_its_own_name() {
        for place in Place::ALL {
            let slot = match place.path().split_once('.') {
                None => slot_of_params(place.path().as_bytes()),
                Some(("options", key)) => slot_of_options(key.as_bytes()),
                Some((_, key)) => slot_of_metadata(key.as_bytes()),
            };
            assert_eq!(slot, Slot::Place(*place));
        }
    }
}
