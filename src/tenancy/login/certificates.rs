//! Who a client is by its certificate.

use std::{collections::HashMap, sync::Arc};

use crate::tls::Name;

/// Names in certificates, and the tenants that they stand for.
#[derive(Clone, Debug, Default)]
pub struct Certificates(HashMap<Name, Arc<str>>);

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certified {
    /// No tenant has any of its names.
    Nobody,
    /// It is this tenant's.
    Tenant(Arc<str>),
    /// Its names are those of several.
    Several,
}

impl Certificates {
    /// The names of all tenants.
    pub fn new(names: impl IntoIterator<Item = (Name, Arc<str>)>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whose a certificate with these names is.
    pub fn whose(&self, names: &[Name]) -> Certified {
        let mut found: Option<&Arc<str>> = None;
        for tenant in names.iter().filter_map(|name| self.0.get(name)) {
            match found {
                Some(other) if other != tenant => return Certified::Several,
                _ => found = Some(tenant),
            }
        }
        found.map_or(Certified::Nobody, |tenant| Certified::Tenant(tenant.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_one_tenants() {
        let name = |text: &str| Name::read(text).unwrap();
        let all = Certificates::new([
            (name("a.example"), "a".into()),
            (name("spiffe://a"), "a".into()),
            (name("b.example"), "b".into()),
        ]);
        assert_eq!(
            all.whose(&[name("A.example"), name("spiffe://a"), name("x.example")]),
            Certified::Tenant("a".into())
        );
        assert_eq!(all.whose(&[name("a.example"), name("b.example")]), Certified::Several);
        assert_eq!(all.whose(&[name("spiffe://A")]), Certified::Nobody);
        assert_eq!(all.whose(&[]), Certified::Nobody);
    }
}
