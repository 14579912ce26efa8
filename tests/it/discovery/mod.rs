//! Backends that come and go: the real binary, a real name server or a scripted one, and fake CLIs on addresses of loopback.

mod changes;
mod dnsmasq;
mod faults;
mod file;
mod name_server;
mod scene;
