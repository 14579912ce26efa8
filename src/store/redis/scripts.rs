//! What Redis runs for us. Each script is one step for everybody: nobody comes in between.

/// One script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Claim,
    Isolate,
    Renew,
    Leave,
    Held,
    Lock,
    RenewLock,
    Unlock,
    LeaveLine,
    Record,
    Disown,
}

macro_rules! text {
    ($($part:literal),+) => {
        concat!(include_str!("lua/clock.lua"), $("\n", include_str!(concat!("lua/", $part, ".lua"))),+)
    };
}

impl Script {
    /// All, in the order of [`Script::index`].
    pub const ALL: [Self; 11] = [
        Self::Claim,
        Self::Isolate,
        Self::Renew,
        Self::Leave,
        Self::Held,
        Self::Lock,
        Self::RenewLock,
        Self::Unlock,
        Self::LeaveLine,
        Self::Record,
        Self::Disown,
    ];

    /// Its place in [`Script::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// What it says.
    pub fn text(self) -> &'static str {
        match self {
            Self::Claim => text!("pin", "claim"),
            Self::Isolate => text!("pin", "isolate"),
            Self::Renew => text!("pin", "renew"),
            Self::Leave => text!("pin", "leave"),
            Self::Held => text!("pin", "held"),
            Self::Lock => text!("line", "lock"),
            Self::RenewLock => text!("line", "renew_lock"),
            Self::Unlock => text!("line", "unlock"),
            Self::LeaveLine => text!("line", "leave_line"),
            Self::Record => text!("record"),
            Self::Disown => text!("disown"),
        }
    }
}

/// A script with what it is about. All keys are in one slot.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub script: Script,
    pub keys: Vec<String>,
    pub arguments: Vec<String>,
}

impl Call {
    pub fn new<const K: usize, const A: usize>(script: Script, keys: [String; K], arguments: [String; A]) -> Self {
        Self { script, keys: keys.into(), arguments: arguments.into() }
    }

    /// By the name under which Redis knows the script.
    pub fn by_hash(&self, hash: &str) -> redis::Cmd {
        self.command("EVALSHA", hash)
    }

    /// With the whole script, for a Redis that forgot it.
    pub fn in_full(&self) -> redis::Cmd {
        self.command("EVAL", self.script.text())
    }

    fn command(&self, verb: &str, script: &str) -> redis::Cmd {
        let mut command = redis::cmd(verb);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.arguments);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_in_its_place() {
        for (index, script) in Script::ALL.into_iter().enumerate() {
            assert_eq!(script.index(), index);
        }
    }
}
