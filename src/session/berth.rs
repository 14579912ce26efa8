//! In which of its backend's incarnations a session lives: at an earlier address, perhaps, than new ones are opened at.

use std::sync::Arc;

use super::Live;
use crate::pool::Member;

impl Live {
    /// Its home (see [`Live::home`]), and the incarnation of that in which it was opened.
    pub fn berth(&self) -> (Arc<Member>, u64) {
        let course = self.course.lock();
        (course.home().clone(), course.berth())
    }
}
