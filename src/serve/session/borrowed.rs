//! Sessions that another tenant or user shares with this client: they are given back when the share is taken back.

use super::{
    client::Client,
    open::{Own, OwnPurpose},
    workspace::Output,
};
use crate::wire::reply;

impl Client {
    /// Lets go of sessions that are not shared with this client any more. Looked at about once a second.
    pub(super) fn review_shares(&mut self, out: &mut Output) {
        let Some(version) = self.shared.wall.as_ref().filter(|_| self.is_apart()).map(|wall| wall.shares().version())
        else {
            return;
        };
        if std::mem::replace(&mut self.shares_seen, version) == version {
            return;
        }
        let lost = self.sessions.slots(|entry| !self.may_see(&entry.id));
        for slot in lost {
            let Some(entry) = self.sessions.remove(slot) else { continue };
            self.audit("session.detach", Some(&entry.id), "share", "refused");
            if let Some(Some(link)) = self.links.get_mut(entry.link as usize) {
                link.seen = Box::default();
            }
            let own = self.own.open(Own { link: entry.link, purpose: OwnPurpose::Setup });
            let params = serde_json::json!({ "sessionId": &*entry.id }).to_string();
            self.say(entry.link, &reply::request(&own, "session.detach", &params), out);
            if let Some(attachment) = entry.attachment {
                attachment.detach();
            }
        }
    }
}
