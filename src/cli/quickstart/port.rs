//! A taken port is told before anything is installed or started, and by the name of its option.

use std::net::{Ipv4Addr, TcpListener};

use super::QuickstartError;

/// Refuses ports that are equal or taken; 0 is always free.
pub(super) fn check(port: u16, admin_port: u16) -> Result<(), QuickstartError> {
    if port == admin_port && port != 0 {
        return Err(QuickstartError::SamePort(port));
    }
    for (port, option) in [(port, "--port"), (admin_port, "--admin-port")] {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| QuickstartError::PortTaken {
            port,
            option,
            source,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_taken_port_by_its_option() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(check(0, 0).is_ok());
        let error = check(0, port).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("--admin-port"), "{error}");
        assert!(matches!(check(port, port), Err(QuickstartError::SamePort(_))));
    }
}
