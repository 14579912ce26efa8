//! What a panic says. Its message may hold a piece of what a client sent (a text that was cut in the middle of a character is
//! printed whole, for one), so only texts of the program itself are told, and where it was.

use std::{any::Any, panic::PanicHookInfo};

/// Replaces the standard hook, which prints every message.
pub fn keep_quiet() {
    std::panic::set_hook(Box::new(tell));
}

fn tell(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current().name().unwrap_or("-").to_owned();
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(place, thread, reason = message(info.payload()), %backtrace, "panicked: a fault of pilotfish's own");
}

/// A message that stands in the program; one that was put together while it ran is kept back.
fn message(payload: &dyn Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(kept back: it may hold a client's bytes)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(panic: impl FnOnce() + std::panic::UnwindSafe) -> Box<dyn Any + Send> {
        std::panic::catch_unwind(panic).unwrap_err()
    }

    #[test]
    fn what_was_put_together_while_running_is_kept_back() {
        let secret = String::from("hunter2-\u{e4}");
        let cut = payload(move || drop(secret[..9].to_owned()));
        assert!(cut.downcast_ref::<String>().is_some_and(|text| text.contains("hunter2")), "the danger is real");
        assert!(!message(&*cut).contains("hunter2"));
        assert_eq!(message(&*payload(|| panic!("a text of ours"))), "a text of ours");
    }
}
